// Command translation serves google.cloud.translation.v3.TranslationService: what Google's
// clients ask of its Translation API when they have a batch of texts translated by a
// glossary. It is a whole API on Longrun, with three long-running methods
// (BatchTranslateText, CreateGlossary, DeleteGlossary), their operations at
// /v3/{name=projects/*/locations/*/operations/*}, over gRPC and HTTP/JSON.
//
//	$ go run ./translation -bucket /tmp/buckets
//
// A directory stands for Cloud Storage: gs://texts/kjv.txt is DIR/texts/kjv.txt. There is no
// model of a language behind it: a text is translated by the terms of the glossary, and what the
// glossary does not have stays as it is. -pace stands for the time that a model would take.
//
// What a reader may want to look at:
//
//   - batch.go is the handler: a file is cut into chunks, each is a step, so that a run after a
//     crash goes on where the last one was, and what comes out is the same to the byte.
//   - request.go is the Begin hook: what is wrong with a request is said at once, and nothing is
//     stored.
//   - glossaries.go has resources that long-running methods create and delete, in tables of the
//     same database file.
//   - program.go puts the parts together, and takes them apart in the right order.
package main

import (
	"context"
	"flag"
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	defer stop()
	if err := run(ctx, os.Args[1:]); err != nil {
		fmt.Fprintln(os.Stderr, "translation:", err)
		os.Exit(1)
	}
}

// options are the program's flags.
type options struct {
	addr, http    string
	store, bucket string
	pace          time.Duration
	log           *slog.Logger
}

// run serves until ctx ends.
func run(ctx context.Context, args []string) error {
	o := options{log: slog.New(slog.NewTextHandler(os.Stderr, nil))}
	flags := flag.NewFlagSet("translation", flag.ExitOnError)
	flags.StringVar(&o.addr, "addr", "127.0.0.1:9161", "serve gRPC on this `address`")
	flags.StringVar(&o.http, "http", "127.0.0.1:8161", "serve HTTP/JSON on this `address`")
	flags.StringVar(&o.store, "store", "translation.db", "keep operations and glossaries in this `file`")
	flags.StringVar(&o.bucket, "bucket", "buckets", "the `directory` that stands for Cloud Storage; gs://B/O is its file B/O")
	flags.DurationVar(&o.pace, "pace", 0, "how `long` 16 KiB of text take at least, for the work of a model")
	if err := flags.Parse(args); err != nil {
		return err
	}
	p, err := open(ctx, o)
	if err != nil {
		return err
	}
	fmt.Fprintf(os.Stderr, "serving gRPC on %s\nserving HTTP on %s\n", p.grpcListener.Addr(), p.httpListener.Addr())
	return p.run(ctx)
}
