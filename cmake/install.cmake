# cmake --install BUILD --prefix DIR: the program, and what it says of itself: manual page and shell
# completion, which it makes at that moment.
include(GNUInstallDirs)
if(NOT ASTERIAS_FUZZ)
  install(TARGETS asterias RUNTIME)
  set(words ${CMAKE_BINARY_DIR}/words)
  install(CODE "
    file(MAKE_DIRECTORY ${words})
    foreach(each \"help --man|asterias.1\" \"completion bash|asterias\"
            \"completion zsh|_asterias\" \"completion fish|asterias.fish\")
      string(REGEX MATCH [[^([a-z]+) ([a-z-]+)[|](.*)$]] matched \"\${each}\")
      execute_process(COMMAND $<TARGET_FILE:asterias> \${CMAKE_MATCH_1} \${CMAKE_MATCH_2}
                      OUTPUT_FILE ${words}/\${CMAKE_MATCH_3} COMMAND_ERROR_IS_FATAL ANY)
    endforeach()")
  install(FILES ${words}/asterias.1 DESTINATION ${CMAKE_INSTALL_MANDIR}/man1)
  install(FILES ${words}/asterias DESTINATION ${CMAKE_INSTALL_DATADIR}/bash-completion/completions)
  install(FILES ${words}/_asterias DESTINATION ${CMAKE_INSTALL_DATADIR}/zsh/site-functions)
  install(FILES ${words}/asterias.fish
          DESTINATION ${CMAKE_INSTALL_DATADIR}/fish/vendor_completions.d)
endif()
