package server_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/internal/server"
	"github.com/longrun-dev/longrun/longrunpb"
)

// A door is a way to the operations of a server.
type door interface {
	get(ctx context.Context, name string) (*longrunningpb.Operation, codes.Code)
	wait(ctx context.Context, name string, timeout time.Duration) (*longrunningpb.Operation, codes.Code)
	list(ctx context.Context, parent string) ([]*longrunningpb.Operation, codes.Code)
	cancel(ctx context.Context, name string) codes.Code
	delete(ctx context.Context, name string) codes.Code
}

// The same behaviour through Go, gRPC, HTTP and the command line.
func TestDoors(t *testing.T) {
	t.Parallel()
	s := serve(t, options(t))
	conn := dial(t, s.GRPCAddr())
	for name, d := range map[string]door{
		"go":   goDoor{s.Service()},
		"grpc": grpcDoor{longrunningpb.NewOperationsClient(conn)},
		"http": httpDoor{webClient(t, nil), "http://" + s.HTTPAddr()},
		"cli":  cliDoor{s.GRPCAddr()},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			testDoor(t, d, conn, "projects/"+name)
		})
	}
}

func testDoor(t *testing.T, d door, conn *grpc.ClientConn, parent string) {
	ctx := t.Context()
	simulate := func(r *longrunpb.SimulateRequest) *longrunningpb.Operation {
		t.Helper()
		r.Parent = parent
		op, err := longrunpb.NewSimulatorClient(conn).Simulate(ctx, r)
		if err != nil {
			t.Fatalf("Simulate: %v", err)
		}
		return op
	}
	want := func(what string, got, want any) {
		t.Helper()
		if got != want {
			t.Errorf("%s = %v, want %v", what, got, want)
		}
	}

	// OP-03: a done operation has exactly one of response and error.
	quick := simulate(&longrunpb.SimulateRequest{})
	op, code := d.wait(ctx, quick.GetName(), patience)
	want("wait for success", code, codes.OK)
	want("done", op.GetDone(), true)
	want("response", op.GetResponse().GetTypeUrl(), "type.googleapis.com/google.protobuf.Empty")

	// WAI-03: the timeout passes, and the answer is the latest state.
	slow := simulate(&longrunpb.SimulateRequest{RunDuration: durationpb.New(time.Hour)})
	op, code = d.wait(ctx, slow.GetName(), 100*time.Millisecond)
	want("wait past its timeout", code, codes.OK)
	want("done", op.GetDone(), false)

	// CAN-02, OP-13: cancel asks; the end is an error with code 1, and get is OK.
	want("cancel", d.cancel(ctx, slow.GetName()), codes.OK)
	op, code = d.wait(ctx, slow.GetName(), patience)
	want("wait for the cancelled", code, codes.OK)
	want("error code", op.GetError().GetCode(), int32(codes.Canceled))
	// CAN-06: cancel of a done operation changes nothing.
	want("cancel of done", d.cancel(ctx, slow.GetName()), codes.OK)
	again, code := d.get(ctx, slow.GetName())
	want("get", code, codes.OK)
	if !proto.Equal(op, again) {
		t.Errorf("a done operation has changed from %v to %v", op, again)
	}

	// ORD-02: newest first.
	ops, code := d.list(ctx, parent)
	want("list", code, codes.OK)
	if len(ops) != 2 || ops[0].GetName() != slow.GetName() || ops[1].GetName() != quick.GetName() {
		t.Errorf("list = %v, want the slow one and the quick one", ops)
	}

	// DEL-01, DEL-04: deleted is unknown, and deleting it again is NOT_FOUND.
	want("delete", d.delete(ctx, slow.GetName()), codes.OK)
	want("delete again", d.delete(ctx, slow.GetName()), codes.NotFound)
	_, code = d.get(ctx, slow.GetName())
	want("get of deleted", code, codes.NotFound)
	want("cancel of deleted", d.cancel(ctx, slow.GetName()), codes.NotFound)
	_, code = d.wait(ctx, slow.GetName(), patience)
	want("wait for deleted", code, codes.NotFound)
	// NM-08: a malformed name.
	_, code = d.get(ctx, "operations/a b")
	want("get of no name", code, codes.InvalidArgument)
	ops, _ = d.list(ctx, parent)
	want("operations that are left", len(ops), 1)
}

type goDoor struct{ svc *longrun.Service }

func (d goDoor) parse(name string, f func(longrun.Name) (*longrun.Operation, error)) (*longrunningpb.Operation, codes.Code) {
	n, err := longrun.ParseName(name)
	if err != nil {
		return nil, longrun.CodeOf(err)
	}
	op, err := f(n)
	return d.svc.Proto(op), longrun.CodeOf(err)
}

func (d goDoor) get(ctx context.Context, name string) (*longrunningpb.Operation, codes.Code) {
	return d.parse(name, func(n longrun.Name) (*longrun.Operation, error) { return d.svc.Get(ctx, n) })
}

func (d goDoor) wait(ctx context.Context, name string, timeout time.Duration) (*longrunningpb.Operation, codes.Code) {
	return d.parse(name, func(n longrun.Name) (*longrun.Operation, error) { return d.svc.Wait(ctx, n, timeout) })
}

func (d goDoor) list(ctx context.Context, parent string) (ops []*longrunningpb.Operation, code codes.Code) {
	page, err := d.svc.List(ctx, longrun.ListRequest{Parent: parent})
	for _, op := range page.Operations {
		ops = append(ops, d.svc.Proto(op))
	}
	return ops, longrun.CodeOf(err)
}

func (d goDoor) cancel(ctx context.Context, name string) codes.Code {
	_, code := d.parse(name, func(n longrun.Name) (*longrun.Operation, error) { return nil, d.svc.Cancel(ctx, n) })
	return code
}

func (d goDoor) delete(ctx context.Context, name string) codes.Code {
	_, code := d.parse(name, func(n longrun.Name) (*longrun.Operation, error) { return nil, d.svc.Delete(ctx, n) })
	return code
}

type grpcDoor struct {
	c longrunningpb.OperationsClient
}

func (d grpcDoor) get(ctx context.Context, name string) (*longrunningpb.Operation, codes.Code) {
	op, err := d.c.GetOperation(ctx, &longrunningpb.GetOperationRequest{Name: name})
	return op, longrun.CodeOf(err)
}

func (d grpcDoor) wait(ctx context.Context, name string, timeout time.Duration) (*longrunningpb.Operation, codes.Code) {
	op, err := d.c.WaitOperation(ctx, &longrunningpb.WaitOperationRequest{Name: name, Timeout: durationpb.New(timeout)})
	return op, longrun.CodeOf(err)
}

func (d grpcDoor) list(ctx context.Context, parent string) ([]*longrunningpb.Operation, codes.Code) {
	page, err := d.c.ListOperations(ctx, &longrunningpb.ListOperationsRequest{Name: parent})
	return page.GetOperations(), longrun.CodeOf(err)
}

func (d grpcDoor) cancel(ctx context.Context, name string) codes.Code {
	_, err := d.c.CancelOperation(ctx, &longrunningpb.CancelOperationRequest{Name: name})
	return longrun.CodeOf(err)
}

func (d grpcDoor) delete(ctx context.Context, name string) codes.Code {
	_, err := d.c.DeleteOperation(ctx, &longrunningpb.DeleteOperationRequest{Name: name})
	return longrun.CodeOf(err)
}

type cliDoor struct{ addr string }

// run plays the command line in a process of its own. The codes that a person would
// read from the error are read from it here.
func (d cliDoor) run(ctx context.Context, into proto.Message, args ...string) codes.Code {
	var out, errOut bytes.Buffer
	cmd := player(ctx, append(args, "--server", d.addr, "-o", "json")...)
	cmd.Stdout, cmd.Stderr = &out, &errOut
	err := cmd.Run()
	if into != nil && out.Len() > 0 {
		if err := protojson.Unmarshal(out.Bytes(), into); err != nil {
			return codes.DataLoss
		}
	}
	exit, _ := errors.AsType[*exec.ExitError](err)
	switch {
	case err == nil, out.Len() > 0 && exit.ExitCode() >= 3:
		return codes.OK
	case strings.Contains(errOut.String(), "not found"):
		return codes.NotFound
	case exit.ExitCode() == 2:
		return codes.InvalidArgument
	}
	return codes.Unknown
}

// player returns a process that plays the command line.
func player(ctx context.Context, args ...string) *exec.Cmd {
	cmd := exec.CommandContext(ctx, os.Args[0], args...)
	cmd.Env = append(os.Environ(), server.PlayEnv+"=1")
	return cmd
}

func (d cliDoor) get(ctx context.Context, name string) (*longrunningpb.Operation, codes.Code) {
	op := &longrunningpb.Operation{}
	return op, d.run(ctx, op, "get", name)
}

// wait asks again where the time was over before the server had answered.
func (d cliDoor) wait(ctx context.Context, name string, timeout time.Duration) (*longrunningpb.Operation, codes.Code) {
	op, code := &longrunningpb.Operation{}, codes.Unknown
	for end := time.Now().Add(patience); code == codes.Unknown && time.Now().Before(end); {
		code = d.run(ctx, op, "wait", name, "--timeout", fmt.Sprint(timeout))
	}
	return op, code
}

func (d cliDoor) list(ctx context.Context, parent string) ([]*longrunningpb.Operation, codes.Code) {
	page := &longrunningpb.ListOperationsResponse{}
	code := d.run(ctx, page, "list", "--parent", parent)
	return page.GetOperations(), code
}

func (d cliDoor) cancel(ctx context.Context, name string) codes.Code {
	return d.run(ctx, nil, "cancel", name)
}

func (d cliDoor) delete(ctx context.Context, name string) codes.Code {
	return d.run(ctx, nil, "delete", name)
}
