package main

import (
	"context"
	"fmt"

	"google.golang.org/grpc/status"

	"github.com/longrun-dev/longrun"
	pb "github.com/longrun-dev/longrun/examples/library/librarypb"
	"github.com/longrun-dev/longrun/sqlite"
)

const (
	// chunkLines is how many lines are one step.
	chunkLines = 100
	// maxWarnings is how many lines an import tells the faults of.
	maxWarnings = 100
	// queued is the status message until it is the import's turn, and underWay from then on.
	queued, underWay = "queued", "importing"
)

// beginImportBooks refuses what cannot be imported, so that nobody waits for it.
func (l *library) beginImportBooks(ctx context.Context, req *pb.ImportBooksRequest, d *longrun.Draft) error {
	if err := checkShelf("parent", req.GetParent()); err != nil {
		return err
	}
	if _, err := l.shelf(ctx, req.GetParent()); err != nil { // settled
		return err
	}
	if err := l.checkObject("bucket_source.object", req.GetBucketSource().GetObject()); err != nil {
		return err
	}
	d.Target, d.Verb, d.APIVersion, d.Metadata = req.GetParent(), "import", "v1", &pb.ImportBooksMetadata{StatusMessage: queued}
	sqlite.Write(d, func(_ context.Context, tx *sqlite.Tx) error { return usableShelf(tx.Conn(), req.GetParent()) })
	return nil
}

// importBooks adds the books of an object, some lines at a time. Each time is a step, whose
// result is remembered: a run after a crash gets it without doing it again, and goes on
// behind it. The metadata is made of these results alone, so that it comes out the same
// however often the work was interrupted.
func (l *library) importBooks(ctx context.Context, req *pb.ImportBooksRequest, run *longrun.Run[*pb.ImportBooksMetadata]) (*pb.ImportBooksResponse, error) {
	run.Update(func(m *pb.ImportBooksMetadata) { m.StatusMessage = underWay })
	object, err := l.openObject(req.GetBucketSource().GetObject())
	if err != nil {
		return nil, err
	}
	defer object.Close()
	progress, err := l.look(ctx, object, run)
	if err != nil {
		return nil, err
	}
	for run.Progress(progress); progress.CompletedLines < progress.TotalLines; run.Progress(progress) {
		from := progress.CompletedLines
		lines, err := object.next(chunkLines)
		if err == nil && len(lines) == 0 {
			err = object.changed()
		}
		if err != nil {
			return nil, err
		}
		done, err := longrun.StepResult(ctx, run, fmt.Sprintf("lines-%d", from), func(ctx context.Context) (*pb.ImportBooksMetadata, error) {
			return l.importLines(ctx, req.GetParent(), lines, from, run)
		})
		if err != nil {
			return nil, err
		}
		progress.CompletedLines += int32(len(lines))
		progress.ImportedBooks += done.GetImportedBooks()
		progress.FailedLines += done.GetFailedLines()
		progress.Warnings = append(progress.Warnings, done.GetWarnings()...)
		progress.Warnings = progress.Warnings[:min(len(progress.Warnings), maxWarnings)]
	}
	progress.StatusMessage = "imported"
	run.Progress(progress)
	return &pb.ImportBooksResponse{ImportedBooks: progress.ImportedBooks, FailedLines: progress.FailedLines}, nil
}

// look returns the first progress: how many lines there are. An object that is another one
// than the first run has seen cannot be gone on with.
func (l *library) look(ctx context.Context, o *object, run longrun.AnyRun) (*pb.ImportBooksMetadata, error) {
	now, err := o.look()
	if err != nil {
		return nil, err
	}
	first, err := longrun.StepResult(ctx, run, "look", func(context.Context) (*pb.ImportBooksMetadata, error) { return now, nil })
	if err == nil && first.GetSourceDigest() != now.GetSourceDigest() {
		err = o.changed()
	}
	return first, err
}

// importLines adds the books of some lines in one transaction, and tells what has become of
// them. If the process dies before that is remembered, the next run does it again and finds
// the books that it has added: a step is remembered once, and its work done at least once.
func (l *library) importLines(ctx context.Context, shelf string, lines [][]byte, from int32, run longrun.AnyRun) (*pb.ImportBooksMetadata, error) {
	if err := l.pause(ctx); err != nil {
		return nil, err
	}
	done := &pb.ImportBooksMetadata{}
	err := l.store.Tx(ctx, func(tx *sqlite.Tx) error {
		for i, line := range lines {
			number := int(from) + i + 1
			req, err := parseLine(line)
			if err == nil {
				_, err = addBook(tx.Conn(), shelf, req, fmt.Sprintf("%s#%d", run.Name(), number))
			}
			switch {
			case err == nil:
				done.ImportedBooks++
			case isFault(err):
				st := status.Convert(err).Proto()
				st.Message = fmt.Sprintf("line %d: %s", number, st.GetMessage())
				done.FailedLines++
				done.Warnings = append(done.Warnings, st)
			default:
				return err
			}
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	l.log.Info("lines imported", "operation", run.Name().String(), "attempt", run.Attempt())
	return done, nil
}
