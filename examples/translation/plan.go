package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"time"
	"unicode/utf8"

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
	if err := checkNames(names, req.GetTargetLanguageCodes()); err != nil {
		return nil, err
	}
	for _, name := range names {
		s, err := b.survey(ctx, name)
		if err != nil {
			return nil, err
		}
		p.Sources = append(p.Sources, s)
		if p.characters() > maxCharacters {
			return nil, badField("input_configs", fmt.Sprintf("there are more than %d characters", maxCharacters))
		}
	}
	return p, nil
}

// checkNames refuses inputs whose output could not be told apart: the API makes the same name
// of a/b.txt and a_b.txt. It also refuses those whose output no file system has a name for.
func checkNames(inputs, targets []string) error {
	made := map[string]string{}
	for _, input := range inputs {
		for _, target := range targets {
			object := output{}.translations(input, target)
			if len(object) > maxNameBytes {
				return badField("input_configs", fmt.Sprintf("the output of %s would have a name of more than %d bytes", uriOf(input), maxNameBytes))
			}
			if other, ok := made[object]; ok {
				return badField("input_configs", fmt.Sprintf("the output of %s and %s would have one name", uriOf(other), uriOf(input)))
			}
			made[object] = input
		}
	}
	return nil
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
			if matched, err = b.files.match(name, isInput, maxInputs+1); err != nil {
				return nil, err
			}
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

// isInput reports whether a file is one to translate. Not every file has a name that an object
// can have.
func isInput(name string) bool {
	_, err := parseURI(uriOf(name))
	return err == nil && isText(name)
}

// survey reads a file to count its characters.
func (b *batches) survey(ctx context.Context, name string) (source, error) {
	f, info, err := b.files.open(name)
	if err != nil {
		return source{}, err
	}
	defer f.Close()
	if info.Size() > maxCharacters*utf8.UTFMax {
		return source{}, badField("input_configs", fmt.Sprintf("%s has more than %d characters", uriOf(name), maxCharacters))
	}
	t, err := survey(ctx, f)
	return source{Name: name, Size: info.Size(), Modified: info.ModTime(), Characters: t.characters, Broken: t.broken}, err
}

// reopen opens a file of the plan. One that has changed cannot be gone on with: half of the
// output would be of another text.
func (b *batches) reopen(s source) (*os.File, error) {
	f, info, err := b.files.open(s.Name)
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
