// A room without .cc files of its own; see room() in rooms.cmake.
