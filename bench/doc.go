// Command bench measures how many operations this machine brings from their start
// to their end, durably, through Longrun, and beside it through a bare log that
// does nothing but write and flush: the ceiling of any design.
//
//	$ go -C bench run . -duration 10s
//	one flush: p50 137 us, p99 225 us
//	one caller, 10s each
//	  raw log                2750 ops/s   p50   357 us   p99   506 us   CPU  197 us each   2.6 flushes
//	  longrun on sqlite      1230 ops/s   p50   629 us   p99  4991 us   CPU  484 us each   0.45 x raw log   4.6 flushes
//	512 callers, 10s each
//	  ...
//
// An operation is two durable writes, its start and its end, and its caller waits
// for both. CPU is that of this process, by getrusage: callers and measuring are
// in it, for every system alike. "one flush" is what the disk takes to write one
// small record and flush it; with one caller, the last figure is how many of these
// an operation takes.
//
// A figure is worth what the machine is worth: compare figures of one run, not of
// two machines. Peers become further systems beside these two (see system).
//
// # Limits
//
// The flush is fdatasync on Linux, and what os.File.Sync does elsewhere. Files lie
// in a folder of their own, below -dir or the system's folder for temporary files;
// where that is in memory, flushes cost nothing and all figures are fiction.
package main
