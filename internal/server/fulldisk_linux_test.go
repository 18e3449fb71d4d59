package server_test

import (
	"bytes"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"
	"google.golang.org/protobuf/types/known/anypb"
	"google.golang.org/protobuf/types/known/wrapperspb"

	"github.com/longrun-dev/longrun/internal/server"
	"github.com/longrun-dev/longrun/longrunpb"
)

// smallDisk mounts a file system with little room.
func smallDisk(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	if err := syscall.Mount("tmpfs", dir, "tmpfs", 0, "size=8m"); err != nil {
		t.Skipf("a full disk was not tried: mounting a small one needs root: %v", err)
	}
	t.Cleanup(func() {
		if err := syscall.Unmount(dir, syscall.MNT_DETACH); err != nil {
			t.Errorf("unmount %s: %v", dir, err)
		}
	})
	return dir
}

// fill takes all room that is left, and returns what to remove to give it back.
func fill(t *testing.T, dir string) string {
	t.Helper()
	name := filepath.Join(dir, "ballast")
	f, err := os.Create(name)
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	for _, size := range []int{64 << 10, 4 << 10, 1} {
		for err == nil {
			_, err = f.Write(bytes.Repeat([]byte{'x'}, size))
		}
		if !errors.Is(err, syscall.ENOSPC) {
			t.Fatalf("fill %s: %v, want no space left", name, err)
		}
		err = nil
	}
	return name
}

// CON-02: while the disk is full nothing new is promised, everything promised can be
// read, and once there is room it works again, without a restart.
func TestFullDisk(t *testing.T) {
	t.Parallel()
	dir := smallDisk(t)
	o := options(t)
	o.Store = "sqlite:" + filepath.Join(dir, "longrun.db")
	var promised []string
	t.Run("server", func(t *testing.T) {
		d := &diskClient{conn: dial(t, serve(t, o).GRPCAddr())}
		for range 10 {
			if err := d.start(t); err != nil {
				t.Fatalf("start with room: %v", err)
			}
		}
		ballast := fill(t, dir)
		refused := d.startUntilRefused(t)
		d.getAll(t)
		if err := os.Remove(ballast); err != nil {
			t.Fatal(err)
		}
		d.startUntilTaken(t)
		_, err := longrunningpb.NewOperationsClient(d.conn).CancelOperation(t.Context(), &longrunningpb.CancelOperationRequest{Name: d.promised[0]})
		if err != nil {
			t.Errorf("cancel with room again: %v", err)
		}
		promised = d.promised
		t.Logf("%d operations were promised, %d refused", len(promised), refused)
	})

	if found, err := server.Check(t.Context(), strings.TrimPrefix(o.Store, "sqlite:")); err != nil || len(found) > 0 {
		t.Errorf("longrun check: %v, %v; want nothing", found, err)
	}
	t.Run("again", func(t *testing.T) {
		d := &diskClient{conn: dial(t, serve(t, o).GRPCAddr()), promised: promised}
		for i, op := range d.getAll(t) {
			if got, want := op.GetDone(), i == 0; got != want {
				t.Errorf("done of %s = %v, want %v", op.GetName(), got, want)
			}
		}
	})
}

// diskClient starts operations, and remembers what it was promised.
type diskClient struct {
	conn     *grpc.ClientConn
	promised []string
}

func (d *diskClient) start(t *testing.T) error {
	body, err := anypb.New(wrapperspb.String(strings.Repeat("x", 16<<10)))
	if err != nil {
		t.Fatal(err)
	}
	op, err := longrunpb.NewDispatcherClient(d.conn).StartOperation(t.Context(), &longrunpb.StartOperationRequest{Method: "m", Request: body})
	if err == nil {
		d.promised = append(d.promised, op.GetName())
	}
	return err
}

// startUntilRefused starts operations until 20 were refused: there may be some room
// left in the store's own files.
func (d *diskClient) startUntilRefused(t *testing.T) (refused int) {
	t.Helper()
	for range 2000 {
		err := d.start(t)
		if err != nil && (status.Code(err) != codes.Unavailable || infoOf(err) == nil) {
			t.Fatalf("start without room: %v, want UNAVAILABLE with an ErrorInfo", err)
		}
		if err != nil {
			refused++
		}
		if refused == 20 {
			break
		}
	}
	if refused == 0 {
		t.Fatal("the disk is full and no start was refused")
	}
	return refused
}

// startUntilTaken starts an operation as soon as the server takes one.
func (d *diskClient) startUntilTaken(t *testing.T) {
	t.Helper()
	for end := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) {
		err := d.start(t)
		if err == nil {
			return
		}
		if time.Now().After(end) {
			t.Fatalf("start with room again: %v", err)
		}
	}
}

func (d *diskClient) getAll(t *testing.T) (ops []*longrunningpb.Operation) {
	t.Helper()
	for _, name := range d.promised {
		op, err := longrunningpb.NewOperationsClient(d.conn).GetOperation(t.Context(), &longrunningpb.GetOperationRequest{Name: name})
		if err != nil {
			t.Errorf("get of what was promised: %v", err)
		}
		ops = append(ops, op)
	}
	return ops
}
