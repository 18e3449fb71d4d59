package cli

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"time"

	statuspb "google.golang.org/genproto/googleapis/rpc/status"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/encoding/protojson"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/durationpb"

	"github.com/longrun-dev/longrun/longrunpb"
)

const (
	// maxLineBytes limits a line on descriptor 3.
	maxLineBytes = 256 << 10
	// maxTextBytes limits each text in a report of progress.
	maxTextBytes = 1 << 10
	// maxErrorBytes limits an error, with room for the details that are added to it
	// (the server takes 64 KiB).
	maxErrorBytes = 63 << 10
	// maxRetryDelay is the longest delay that the server takes.
	maxRetryDelay = 30 * 24 * time.Hour
)

// line is what a line on descriptor 3 says; what it does not say is nil.
type line struct {
	progress *longrunpb.Progress
	message  *string // the metadata's status_message
	fail     *statuspb.Status
	delay    *durationpb.Duration
}

// A badReport is a line that says nothing of how the run ends, and cannot be read. It
// is dropped; any other error of parseLine fails the run, because what it has meant
// to say may have been that.
type badReport struct{ msg string }

func (b *badReport) Error() string { return b.msg }

// parseLine reads a line on descriptor 3: an object with at least one of the keys
// progress, statusMessage, error and retryDelay. A null is as good as nothing.
func parseLine(raw []byte) (line, error) {
	var fields map[string]json.RawMessage
	if err := json.Unmarshal(raw, &fields); err != nil || fields == nil {
		return line{}, errors.New("not a JSON object")
	}
	var l line
	var dropped error
	for key, value := range fields {
		if bytes.Equal(value, []byte("null")) {
			continue
		}
		err := l.set(key, value)
		if _, drop := errors.AsType[*badReport](err); drop {
			dropped = err
		} else if err != nil {
			return line{}, err
		}
	}
	return l, dropped
}

func (l *line) set(key string, value []byte) error {
	switch key {
	case "progress":
		p, err := progressOf(value)
		l.progress = p
		return err
	case "statusMessage":
		var text string
		if json.Unmarshal(value, &text) != nil || len(text) > maxTextBytes {
			return &badReport{fmt.Sprintf("statusMessage is not a string of at most %d bytes", maxTextBytes)}
		}
		l.message = &text
	case "error":
		st := &statuspb.Status{}
		if err := protojson.Unmarshal(value, st); err != nil {
			return fmt.Errorf("error is not a google.rpc.Status: %s", plainJSONError(err))
		}
		if c := codes.Code(st.GetCode()); st.GetCode() < 1 || c > codes.Unauthenticated || proto.Size(st) > maxErrorBytes {
			return errors.New("error needs a code from 1 to 16, and has at most 63 KiB")
		}
		l.fail = st
	case "retryDelay":
		d := &durationpb.Duration{}
		if err := protojson.Unmarshal(value, d); err != nil || d.AsDuration() < 0 || d.AsDuration() > maxRetryDelay {
			return errors.New(`retryDelay is not a duration from "0s" to 30 days`)
		}
		l.delay = d
	default:
		return &badReport{fmt.Sprintf("%q is not known", key)}
	}
	return nil
}

func progressOf(value []byte) (*longrunpb.Progress, error) {
	p := &longrunpb.Progress{}
	if err := protojson.Unmarshal(value, p); err != nil {
		return nil, &badReport{"progress is not a longrun.v1.Progress: " + plainJSONError(err)}
	}
	if p.GetCompletedUnits() < 0 || p.GetTotalUnits() < 0 || len(p.GetPhase()) > maxTextBytes {
		return nil, &badReport{fmt.Sprintf("progress has negative units, or a phase of more than %d bytes", maxTextBytes)}
	}
	return p, nil
}

// readLines hands on every line of r until it ends. What follows a line that is too
// long is read and not looked at.
func readLines(r io.Reader, each func(line, error)) {
	s := bufio.NewScanner(r)
	s.Buffer(nil, maxLineBytes)
	for s.Scan() {
		if raw := bytes.TrimSpace(s.Bytes()); len(raw) > 0 {
			each(parseLine(raw))
		}
	}
	if errors.Is(s.Err(), bufio.ErrTooLong) {
		each(line{}, fmt.Errorf("longer than %d bytes", maxLineBytes))
		_, _ = io.Copy(io.Discard, r) // an error is the end too
	}
}
