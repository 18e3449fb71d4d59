package main

import (
	"context"
	"net"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/protobuf/types/known/durationpb"
	"google.golang.org/protobuf/types/known/wrapperspb"
)

// start runs the program's serve on file and returns a connection to it, and a
// function that ends it and reports how.
func start(t *testing.T, file string) (*grpc.ClientConn, func() error) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- serve(ctx, listener, file) }()
	conn, err := grpc.NewClient(listener.Addr().String(), grpc.WithTransportCredentials(insecure.NewCredentials()))
	if err != nil {
		t.Fatal(err)
	}
	ended := false
	end := func() error {
		if ended {
			return nil
		}
		ended = true
		err := conn.Close()
		cancel()
		if served := <-done; served != nil {
			return served
		}
		return err
	}
	t.Cleanup(func() {
		if err := end(); err != nil {
			t.Errorf("serve: %v", err)
		}
	})
	return conn, end
}

func startTranslation(t *testing.T, conn *grpc.ClientConn, text string) *longrunningpb.Operation {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	op := new(longrunningpb.Operation)
	if err := conn.Invoke(ctx, Translate.Name, wrapperspb.String(text), op); err != nil {
		t.Fatalf("Translate: %v", err)
	}
	return op
}

func waitDone(t *testing.T, conn *grpc.ClientConn, name string) *longrunningpb.Operation {
	t.Helper()
	for range 5 {
		op, err := longrunningpb.NewOperationsClient(conn).WaitOperation(t.Context(),
			&longrunningpb.WaitOperationRequest{Name: name, Timeout: durationpb.New(30 * time.Second)})
		if err != nil {
			t.Fatalf("WaitOperation: %v", err)
		}
		if op.GetDone() {
			return op
		}
	}
	t.Fatalf("%s is not done after minutes", name)
	return nil
}

func TestTranslate(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "translate.db")
	conn, end := start(t, file)
	op := startTranslation(t, conn, "good day\nthe house is big")
	if !strings.HasPrefix(op.GetName(), "projects/demo/operations/") {
		t.Errorf("Name = %q, want one under projects/demo/operations/", op.GetName())
	}
	checkGreeting(t, waitDone(t, conn, op.GetName()))
	if err := end(); err != nil {
		t.Fatalf("serve: %v", err)
	}

	// Another start of the program knows what the first has done.
	again, _ := start(t, file)
	checkGreeting(t, waitDone(t, again, op.GetName()))
}

func checkGreeting(t *testing.T, op *longrunningpb.Operation) {
	t.Helper()
	got := new(wrapperspb.StringValue)
	if err := op.GetResponse().UnmarshalTo(got); err != nil {
		t.Fatalf("response of %v: %v", op, err)
	}
	if want := "guten tag\ndas haus ist gross"; got.GetValue() != want {
		t.Errorf("response = %q, want %q", got.GetValue(), want)
	}
}

func TestTranslate_UnknownWord(t *testing.T) {
	t.Parallel()
	conn, _ := start(t, filepath.Join(t.TempDir(), "translate.db"))
	op := waitDone(t, conn, startTranslation(t, conn, "good night").GetName())
	if got, want := codes.Code(op.GetError().GetCode()), codes.InvalidArgument; got != want {
		t.Errorf("code = %v, want %v", got, want)
	}
	if got, want := op.GetError().GetMessage(), `there is no translation of "night"`; got != want {
		t.Errorf("message = %q, want %q", got, want)
	}
}

func TestServe_FileThatCannotBeOpened(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	if err := serve(t.Context(), listener, filepath.Join(t.TempDir(), "none", "translate.db")); err == nil {
		t.Error("serve on a folder that is not there: no error")
	}
	if err := listener.Close(); err == nil {
		t.Error("serve left its listener open")
	}
}
