package server

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"hash"
	"io"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/longrunpb"
	"github.com/longrun-dev/longrun/sqlite"
)

// BackupOptions configures a backup. The zero BackupOptions is ready for use.
type BackupOptions struct {
	// Replace lets it take the place of an older one. Off by default.
	Replace Switch
	// Progress, if not nil, is told how many bytes were copied of how many.
	Progress func(done, total int64)
}

func (o BackupOptions) forStore() sqlite.BackupOptions {
	return sqlite.BackupOptions{Replace: o.Replace == On, Progress: o.Progress}
}

// BackupStore copies the store at an address, "sqlite:FILE", which no server has
// open, into a file. The copy is whole, verified and on disk, or is not there. What
// it refuses is a *Problem.
func BackupStore(ctx context.Context, addr, file string, o BackupOptions) error {
	from, err := storeFile(addr)
	if err != nil {
		return err
	}
	err = sqlite.Backup(ctx, from, file, o.forStore())
	p, ok := backupProblem(file, err).(*Problem)
	if ok && errors.Is(err, sqlite.ErrInUse) {
		p.Hint = "take it from the server that has it open: longrun backup FILE"
	}
	if !ok {
		return nil
	}
	return p
}

// BackupServer copies the store of the server at conn, which goes on meanwhile, into
// a file on this machine. Everything that the server had answered before is in it.
// The copy is whole, verified and on disk, or is not there. What is wrong on this
// side is a *Problem; what the server says is the error of a gRPC call, with a Status.
func BackupServer(ctx context.Context, conn grpc.ClientConnInterface, file string, o BackupOptions) error {
	err := sqlite.SaveBackup(ctx, file, o.forStore(), func(w io.Writer) error { return receive(ctx, conn, w, o) })
	if _, ok := errors.AsType[*longrun.Error](err); !ok {
		return err
	}
	return backupProblem(file, err)
}

// receivePatience is how long a server may be silent in the middle of a copy.
const receivePatience = time.Minute

// receive writes what the server streams.
func receive(ctx context.Context, conn grpc.ClientConnInterface, w io.Writer, o BackupOptions) error {
	silent := &Problem{Msg: "the server has said nothing for a minute in the middle of the copy", Hint: "is it stopped, or its disk very slow? nothing was kept"}
	ctx, stop := context.WithCancelCause(ctx)
	defer stop(nil)
	patience := time.AfterFunc(receivePatience, func() { stop(silent) })
	defer patience.Stop()
	stream, err := longrunpb.NewAdminClient(conn).BackUpStore(ctx, &longrunpb.BackUpStoreRequest{})
	if err != nil {
		return err
	}
	r := receiver{w: w, o: o, own: sha256.New()}
	for {
		piece, err := stream.Recv()
		patience.Reset(receivePatience)
		switch {
		case context.Cause(ctx) == error(silent):
			return silent
		case errors.Is(err, io.EOF):
			return r.end()
		case err != nil:
			return r.cutOff(err)
		}
		if err := r.take(piece); err != nil {
			return err
		}
	}
}

// receiver puts the pieces of a copy together.
type receiver struct {
	w           io.Writer
	o           BackupOptions
	done, total int64
	sum         []byte
	own         hash.Hash
}

func (r *receiver) take(piece *longrunpb.BackUpStoreResponse) error {
	if piece.GetTotalBytes() > 0 {
		r.total = piece.GetTotalBytes()
	}
	if piece.GetSha256() != nil {
		r.sum = piece.GetSha256()
	}
	r.own.Write(piece.GetData()) // never fails
	if _, err := r.w.Write(piece.GetData()); err != nil {
		return err
	}
	r.done += int64(len(piece.GetData()))
	if r.o.Progress != nil && r.total > 0 {
		r.o.Progress(r.done, r.total)
	}
	return nil
}

// end says whether all has come, and as it was sent.
func (r *receiver) end() error {
	if r.done != r.total || !bytes.Equal(r.own.Sum(nil), r.sum) {
		return &Problem{Msg: "the copy has not arrived as it was sent", Hint: "nothing was kept; try again"}
	}
	return nil
}

// cutOff explains a stream that has ended in the middle.
func (r *receiver) cutOff(err error) error {
	if r.done == 0 || status.Code(err) != codes.Unavailable {
		return err
	}
	return &Problem{Msg: "the server has gone in the middle of the copy", Hint: "nothing was kept; try again when it is back", Err: err}
}

// backupProblem explains why there is no backup.
func backupProblem(file string, err error) error {
	if err == nil {
		return nil
	}
	p := storeProblem(file, err)
	switch longrun.CodeOf(err) {
	case codes.AlreadyExists:
		p.Hint = "name another file, or let it take the place of that backup with: --replace"
	case codes.Unavailable:
		p.Hint = "nothing was kept; there must be room for the whole store"
	case codes.DataLoss:
		p.Hint = "nothing was kept; stop the server and look at its store with: longrun check FILE"
	}
	return p
}
