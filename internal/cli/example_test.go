package cli_test

import (
	"fmt"

	"github.com/longrun-dev/longrun/internal/cli"
)

// Main is all there is to a program: os.Exit(cli.Main(os.Args[1:])).
func ExampleMain() {
	status := cli.Main([]string{"help", "exit-codes"})
	fmt.Println("exit status", status)
	// Output:
	// The exit statuses of longrun:
	//
	//     0  it worked; of wait: the operation has succeeded
	//     1  it did not work: the server said no, or there is none
	//     2  wrong use of the command line, the environment or the configuration file
	//     3  wait, start --wait: the operation has failed
	//     4  wait, start --wait: the operation was cancelled
	//     5  wait, start --wait: the time was over before the operation
	//
	// Of run, any other than these is the command's own:
	//
	//   124  the command has ended, and the server could not be told
	//   125  longrun itself did not get as far as the command (wrong use, too)
	//   126  the command cannot be run
	//   127  the command was not found
	// 128+n  the command was ended by signal n
	//
	// Of worker: 0 when it was stopped and all was told, 126 and 127 as of run, else 1 or 2.
	//
	// exit status 0
}
