package main

import (
	"context"
	"encoding/binary"
	"errors"
	"hash/crc32"
	"os"
	"sync"
	"time"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/anypb"

	"github.com/longrun-dev/longrun"
)

// rawLog is a log and nothing else: every record is appended, and a caller waits
// until its own is on disk. Records of many callers share a flush. A record is an
// encoded operation behind its length and checksum, so that it could be read again.
// The log keeps no index, reads nothing and answers nothing: what is durable and
// does more is slower.
type rawLog struct {
	f     *os.File
	wake  chan struct{} // holds one: there is something to write
	ended chan struct{} // closed when the writer has returned

	mu      sync.Mutex // guards what follows
	records []byte
	written chan struct{} // closed when records are on disk, or err is set
	err     error         // the first; no record is written after it
	closed  bool
}

func openRaw(_ context.Context, file string, _ int) (system, error) {
	f, err := os.Create(file)
	if err != nil {
		return nil, err
	}
	l := &rawLog{f: f, wake: make(chan struct{}, 1), ended: make(chan struct{}), written: make(chan struct{})}
	go l.write()
	return l, nil
}

// do appends the two records of an operation, one after the other: its start with
// the request, and its end.
func (l *rawLog) do(context.Context) error {
	op := &longrunningpb.Operation{
		Name:     longrun.Name{ID: longrun.NewID()}.String(),
		Metadata: &anypb.Any{TypeUrl: "type.googleapis.com/google.protobuf.BytesValue", Value: make([]byte, requestBytes)},
	}
	if err := l.append(op); err != nil {
		return err
	}
	op.Done = true
	op.Result = &longrunningpb.Operation_Response{Response: &anypb.Any{TypeUrl: "type.googleapis.com/google.protobuf.Empty"}}
	return l.append(op)
}

// frame appends op to buf behind its length and checksum.
func frame(buf []byte, op *longrunningpb.Operation) ([]byte, error) {
	start := len(buf)
	buf, err := proto.MarshalOptions{}.MarshalAppend(append(buf, make([]byte, 8)...), op)
	if err != nil {
		return nil, err
	}
	body := buf[start+8:]
	binary.LittleEndian.PutUint32(buf[start:], uint32(len(body)))
	binary.LittleEndian.PutUint32(buf[start+4:], crc32.ChecksumIEEE(body))
	return buf, nil
}

func (l *rawLog) append(op *longrunningpb.Operation) error {
	record, err := frame(nil, op)
	if err != nil {
		return err
	}
	l.mu.Lock()
	l.records = append(l.records, record...)
	written := l.written
	l.mu.Unlock()
	l.raise()
	<-written
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.err
}

func (l *rawLog) raise() {
	select {
	case l.wake <- struct{}{}:
	default:
	}
}

// write writes what there is, and again what has come meanwhile, until close.
func (l *rawLog) write() {
	defer close(l.ended)
	var spare []byte
	for range l.wake {
		l.mu.Lock()
		records, written, err, closed := l.records, l.written, l.err, l.closed
		l.records, l.written = spare[:0], make(chan struct{})
		l.mu.Unlock()
		if err == nil && len(records) > 0 {
			_, err = l.f.Write(records)
			if err == nil {
				err = flush(l.f)
			}
			l.mu.Lock()
			l.err = err
			l.mu.Unlock()
		}
		close(written)
		spare = records
		if closed {
			return
		}
	}
}

func (l *rawLog) close() error {
	l.mu.Lock()
	l.closed = true
	l.mu.Unlock()
	l.raise()
	<-l.ended
	return errors.Join(l.err, l.f.Close())
}

// measureFlush writes and flushes one record after the other.
func measureFlush(ctx context.Context, file string, d time.Duration) (m measurement, err error) {
	f, err := os.Create(file)
	if err != nil {
		return measurement{}, err
	}
	defer func() { err = errors.Join(err, f.Close()) }()
	record := make([]byte, requestBytes)
	return load(ctx, func(context.Context) error {
		if _, err := f.Write(record); err != nil {
			return err
		}
		return flush(f)
	}, 1, d)
}
