// Command longrun serves google.longrunning.Operations, and has the commands for
// those who look at operations: see longrun help.
package main

import (
	"os"

	"github.com/longrun-dev/longrun/internal/cli"
)

func main() { os.Exit(cli.Main(os.Args[1:])) }
