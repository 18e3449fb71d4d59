package main

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"slices"
	"time"

	"cloud.google.com/go/translate/apiv3/translatepb"
	"google.golang.org/grpc/codes"
)

// plan is what a batch is made of. The first run makes it and remembers it, so that all others
// work on the same, or find that it is not there any more.
type plan struct {
	Sources   []source
	Revisions map[string]string // of the glossaries, by target
}

// source is a file to translate, as it was when the plan was made.
type source struct {
	Name       string // path
	Size       int64
	Modified   time.Time
	Characters int64
	Broken     bool // it is not UTF-8, and cannot be translated
}

// characters is how many there are in all, for each target.
func (p *plan) characters() int64 {
	var n int64
	for _, s := range p.Sources {
		n += s.Characters
	}
	return n
}

// makePlan finds the files of a request and reads them once.
func (b *batches) makePlan(ctx context.Context, req *translatepb.BatchTranslateTextRequest, glossaries map[string]*kept) (*plan, error) {
	p := &plan{Revisions: map[string]string{}}
	for target, g := range glossaries {
		p.Revisions[target] = g.revision
	}
	names, err := b.inputs(req)
	if err != nil {
		return nil, err
	}
	for _, name := range names {
		s, err := b.survey(ctx, name)
		if err != nil {
			return nil, err
		}
		p.Sources = append(p.Sources, s)
	}
	if p.characters() > maxCharacters {
		return nil, badField("input_configs", fmt.Sprintf("there are more than %d characters", maxCharacters))
	}
	return p, nil
}

// inputs returns the files that a request matches, each once.
func (b *batches) inputs(req *translatepb.BatchTranslateTextRequest) ([]string, error) {
	var names []string
	for _, input := range req.GetInputConfigs() {
		name, some, err := parseInput(input.GetGcsSource().GetInputUri())
		if err != nil {
			return nil, err
		}
		matched := []string{name}
		if some {
			if matched, err = b.files.match(name, maxCharacters); err != nil {
				return nil, err
			}
			matched = slices.DeleteFunc(matched, func(name string) bool {
				_, err := parseURI(uriOf(name)) // a file may have a name that no object has
				return err != nil || !isText(name)
			})
		}
		for _, name := range matched {
			if !slices.Contains(names, name) {
				names = append(names, name)
			}
		}
		if len(names) > maxInputs {
			return nil, badField("input_configs", fmt.Sprintf("they match more than %d files", maxInputs))
		}
	}
	if len(names) == 0 {
		return nil, badField("input_configs", "they match no files")
	}
	return names, nil
}

// survey reads a file to count its characters.
func (b *batches) survey(ctx context.Context, name string) (source, error) {
	if ctx.Err() != nil {
		return source{}, context.Cause(ctx)
	}
	f, info, err := b.open(name)
	if err != nil {
		return source{}, err
	}
	defer f.Close()
	t, err := survey(f)
	return source{Name: name, Size: info.Size(), Modified: info.ModTime(), Characters: t.characters, Broken: t.broken}, err
}

func (b *batches) open(name string) (*os.File, fs.FileInfo, error) {
	f, err := b.files.root.Open(name)
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil, missing("OBJECT_NOT_FOUND", objectType, uriOf(name))
	}
	if err != nil {
		return nil, nil, err
	}
	info, err := f.Stat()
	if err == nil && !info.Mode().IsRegular() {
		err = missing("OBJECT_NOT_FOUND", objectType, uriOf(name))
	}
	if err != nil {
		return nil, nil, errors.Join(err, f.Close())
	}
	return f, info, nil
}

// reopen opens a file of the plan. One that has changed cannot be gone on with: half of the
// output would be of another text.
func (b *batches) reopen(s source) (*os.File, error) {
	f, info, err := b.open(s.Name)
	if err != nil {
		return nil, err
	}
	if info.Size() != s.Size || !info.ModTime().Equal(s.Modified) {
		return nil, errors.Join(changed("OBJECT_CHANGED", uriOf(s.Name)), f.Close())
	}
	return f, nil
}

// check reports a glossary that is not the one of the plan.
func (p *plan) check(glossaries map[string]*kept) error {
	for target, g := range glossaries {
		if p.Revisions[target] != g.revision {
			return changed("GLOSSARY_CHANGED", g.resource.GetName())
		}
	}
	return nil
}

func changed(reason, name string) error {
	return refuse(codes.FailedPrecondition, reason, name+" has changed while it was used", map[string]string{"resource": name})
}
