// Package cli is the command line: serve, start, run, worker, list, get, wait,
// cancel, delete, check, backup, completion and version.
//
//	longrun serve                       # a server on 127.0.0.1:9151
//	longrun start --method resize --request '{"width": 64}'
//	longrun run -- make all             # the work happens here, the record there
//	longrun worker --method m -- sh m.sh  # any command is a handler
//	longrun list                        # newest first, of every parent
//	longrun wait operations/0198...     # exits 0, 3, 4 or 5
//	longrun cancel operations/0198...
//	longrun get -o json operations/0198...
//
// A program that wants the command line calls [Main], and nothing else:
//
//	func main() { os.Exit(cli.Main(os.Args[1:])) }
//
// # Rules
//
// Data goes to standard output, talk to standard error. What went wrong is one
// line that begins with "longrun: error:", and what to do about it one that
// begins with "longrun: hint:". A command in a hint stands there only if it can be
// pasted as it is, and changes nothing.
//
// Text that others have written, such as a status message, is printed without
// control characters; with -o json it is escaped by JSON.
//
// -o json prints google.longrunning.Operation in ProtoJSON, and a list as
// google.longrunning.ListOperationsResponse; docs/cli-json.md is the contract.
// Payloads whose type is linked in, or is told by the server's reflection, are
// resolved; any other is printed as its "@type" and the base64 of its bytes in
// "value", and never an error. start takes requests in the same form.
//
// Every flag can come from the environment and from a file, too: the command line
// goes before LONGRUN_COMMAND_FLAG, that before LONGRUN_FLAG, that before --config
// FILE, and that before the default. A command reads its flags, and nothing else,
// after settle has filled them in; nobody else reads the environment.
//
// Completion asks the server for the names of operations. It waits for a second at
// most, and says nothing when anything is wrong.
//
// # HTTP
//
// A server whose address is a URL is asked over HTTP/JSON, by every command but backup:
//
//	longrun list --server http://127.0.0.1:8151
//
// Commands do not know the difference: they call a connection, which is a
// grpc.ClientConn or a web. A web finds a method's path by the google.api.http rules of
// the linked descriptors, and turns the error envelope back into a Status. There is no
// reflection, so payloads of types that are not linked in are kept as the JSON that the
// server has written (jsonTypes). As for gRPC, the proxy of the environment is used.
//
// # Exit status
//
//	0    it worked; of wait: the operation has succeeded
//	1    it did not work: the server said no, or there is none
//	2    wrong use: of the command line, the environment or the configuration file;
//	     or the server calls an argument invalid
//	3    wait: the operation has failed
//	4    wait: the operation was cancelled
//	5    wait: the time was over before the operation
//	124  run: the command has ended, and the server could not be told
//	125  run: longrun itself did not get as far as the command
//	126  run: the command cannot be run
//	127  run: the command was not found
//	128+n  run: the command was ended by signal n
//
// start --wait has those of wait.
//
// Any other exit status of run is the command's own. A worker exits with 0 when it was
// stopped and could tell how all its runs ended, with 126 or 127 when its command is
// not there, else with 1 or 2.
//
// # Limits
//
// There is no authentication yet: the server is spoken to in the clear, unless its
// address is an https URL, and by default it is on this machine.
//
// run needs an operating system with process groups. Its command is in a group of
// its own, which is never in the terminal's foreground, so that Ctrl-C reaches us and
// not the command. Therefore it reads from a terminal through a pipe, and programs
// that want the terminal itself, such as editors, do not get it; Ctrl-Z does
// nothing. The command dies with longrun however that ends, on Linux; elsewhere only
// where longrun still gets to stop it.
//
// # Workers
//
// The protocol between a worker and its command is in docs/workers.md. A worker has one
// session at a time (shift), a goroutine for each operation it runs (handling), and a
// process for each of these (script). The rules that its calls keep are those of
// package dispatch. Beside it there is a guard, a process that kills the commands'
// process groups when the worker is gone.
package cli
