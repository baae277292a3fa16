// asterias-sim: the simulator alone, without sockets and RocksDB.
#include "sim/command.h"

int main(int argc, char** argv) { return asterias::sim::run_command(argc, argv, argv[0]); }
