package sqlite_test

import (
	"context"
	"fmt"
	"log"
	"os"
	"path/filepath"
	"time"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/sqlite"
	"google.golang.org/protobuf/types/known/emptypb"
	"google.golang.org/protobuf/types/known/wrapperspb"
	zombiezen "zombiezen.com/go/sqlite"
	"zombiezen.com/go/sqlite/sqlitex"
)

// exampleFile names a database in a directory that cleanup removes.
func exampleFile() (file string, cleanup func()) {
	dir, err := os.MkdirTemp("", "longrun")
	if err != nil {
		log.Fatal(err)
	}
	return filepath.Join(dir, "longrun.db"), func() { os.RemoveAll(dir) }
}

func newOperation() longrun.NewOperation {
	return longrun.NewOperation{Operation: &longrun.Operation{
		ID: longrun.NewID(), Method: "resize-image", MaxFailures: 20, Retention: time.Hour,
	}}
}

func ExampleOpen() {
	file, cleanup := exampleFile()
	defer cleanup()
	ctx := context.Background()

	store, err := sqlite.Open(file, sqlite.Options{})
	if err != nil {
		log.Fatal(err)
	}
	op, err := store.Create(ctx, newOperation())
	if err != nil {
		log.Fatal(err)
	}
	store.Close()

	store, err = sqlite.Open(file, sqlite.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	ops, err := store.Get(ctx, op.ID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(ops[0].Method, ops[0].State)
	// Output: resize-image PENDING
}

func ExampleStore_Tx() {
	file, cleanup := exampleFile()
	defer cleanup()
	ctx := context.Background()
	store, err := sqlite.Open(file, sqlite.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()

	err = store.Tx(ctx, func(tx *sqlite.Tx) error {
		if err := sqlitex.ExecuteScript(tx.Conn(), "CREATE TABLE image (name TEXT)", nil); err != nil {
			return err
		}
		if err := sqlitex.Execute(tx.Conn(), "INSERT INTO image VALUES ('cat.png')", nil); err != nil {
			return err
		}
		_, err := tx.Create(ctx, newOperation())
		return err
	})
	fmt.Println(err)
	// Output: <nil>
}

func ExampleStore_View() {
	file, cleanup := exampleFile()
	defer cleanup()
	ctx := context.Background()
	store, err := sqlite.Open(file, sqlite.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	if _, err := store.Create(ctx, newOperation()); err != nil {
		log.Fatal(err)
	}

	err = store.View(ctx, func(c *zombiezen.Conn) error {
		n, err := sqlitex.ResultInt(c.Prep("SELECT count(*) FROM longrun_operation"))
		fmt.Println(n)
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output: 1
}

func ExampleStore_Backup() {
	file, cleanup := exampleFile()
	defer cleanup()
	store, err := sqlite.Open(file, sqlite.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	ctx := context.Background()
	op, err := store.Create(ctx, newOperation())
	if err != nil {
		log.Fatal(err)
	}

	// The store is in use, and goes on.
	if err := store.Backup(ctx, file+".copy", sqlite.BackupOptions{}); err != nil {
		log.Fatal(err)
	}

	restored, err := sqlite.Open(file+".copy", sqlite.Options{})
	if err != nil {
		log.Fatal(err)
	}
	found, err := restored.Get(ctx, op.ID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(found[0].ID == op.ID)
	restored.Close()

	// What is there stays there.
	err = store.Backup(ctx, file+".copy", sqlite.BackupOptions{})
	fmt.Println(longrun.CodeOf(err))
	// Output:
	// true
	// AlreadyExists
}

func ExampleCheck() {
	file, cleanup := exampleFile()
	defer cleanup()
	store, err := sqlite.Open(file, sqlite.Options{})
	if err != nil {
		log.Fatal(err)
	}
	store.Close()

	problems, err := sqlite.Check(context.Background(), file)
	fmt.Println(len(problems), err)
	// Output: 0 <nil>
}

func ExampleWrite() {
	file, cleanup := exampleFile()
	defer cleanup()
	ctx := context.Background()
	store, err := sqlite.Open(file, sqlite.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close()
	svc, err := longrun.New(store, longrun.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer svc.Close()

	resize := longrun.Method[*wrapperspb.StringValue, *emptypb.Empty, *emptypb.Empty]{Name: "resize-image"}
	longrun.Begin(svc, resize, func(_ context.Context, image *wrapperspb.StringValue, d *longrun.Draft) error {
		sqlite.Write(d, func(_ context.Context, tx *sqlite.Tx) error {
			return sqlitex.ExecuteScript(tx.Conn(), "CREATE TABLE image (name TEXT); INSERT INTO image VALUES ('cat.png')", nil)
		})
		return nil
	})
	if _, err := longrun.Start(ctx, svc, resize, wrapperspb.String("cat.png"), longrun.StartOptions{}); err != nil {
		log.Fatal(err)
	}
	err = store.View(ctx, func(c *zombiezen.Conn) error {
		name, err := sqlitex.ResultText(c.Prep("SELECT name FROM image"))
		fmt.Println(name)
		return err
	})
	if err != nil {
		log.Fatal(err)
	}
	// Output: cat.png
}
