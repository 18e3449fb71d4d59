package main

import (
	"context"
	"fmt"
	"path"
	"regexp"
	"slices"
	"strings"
	"time"

	"cloud.google.com/go/translate/apiv3/translatepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/longrun-dev/longrun"
)

// Limits of the API.
const (
	maxTargets    = 10
	maxInputs     = 100
	maxCharacters = 100 << 20
)

var (
	locationPattern = regexp.MustCompile(`^projects/[^/]{1,63}/locations/[^/]{1,63}$`)
	languagePattern = regexp.MustCompile(`^[A-Za-z]{2,8}(-[A-Za-z0-9]{1,8}){0,3}$`)
)

// begin is the Begin hook of BatchTranslateText: it refuses what could never be done. What
// files there are is looked at by the run, as the API does.
func (b *batches) begin(ctx context.Context, req *translatepb.BatchTranslateTextRequest, d *longrun.Draft) error {
	for _, check := range []func(context.Context, *translatepb.BatchTranslateTextRequest) error{
		checkPlace, checkLanguages, checkInputs, b.checkOutput, b.checkGlossaries,
	} {
		if err := check(ctx, req); err != nil {
			return err
		}
	}
	d.Labels = req.GetLabels()
	d.Metadata = &translatepb.BatchTranslateMetadata{State: translatepb.BatchTranslateMetadata_RUNNING, SubmitTime: timestamppb.New(time.Now())}
	return nil
}

func checkPlace(_ context.Context, req *translatepb.BatchTranslateTextRequest) error {
	switch {
	case !locationPattern.MatchString(req.GetParent()):
		return badField("parent", "must be projects/PROJECT/locations/LOCATION")
	case path.Base(req.GetParent()) == "global":
		return badField("parent", "a batch needs a location other than global")
	case len(req.GetModels()) > 0:
		return badField("models", "there are no models here; texts are translated by glossaries")
	}
	return nil
}

func checkLanguages(_ context.Context, req *translatepb.BatchTranslateTextRequest) error {
	targets := req.GetTargetLanguageCodes()
	if n := len(targets); n == 0 || n > maxTargets {
		return badField("target_language_codes", fmt.Sprintf("there must be 1 to %d", maxTargets))
	}
	if !languagePattern.MatchString(req.GetSourceLanguageCode()) {
		return badField("source_language_code", "must be the code of a language, such as en")
	}
	for i, target := range targets {
		if !languagePattern.MatchString(target) || slices.Contains(targets[:i], target) {
			return badField("target_language_codes", "each must be the code of another language, such as de")
		}
	}
	return nil
}

func checkInputs(_ context.Context, req *translatepb.BatchTranslateTextRequest) error {
	if n := len(req.GetInputConfigs()); n == 0 || n > maxInputs {
		return badField("input_configs", fmt.Sprintf("there must be 1 to %d", maxInputs))
	}
	for i, input := range req.GetInputConfigs() {
		field := fmt.Sprintf("input_configs[%d]", i)
		if m := input.GetMimeType(); m != "" && m != "text/plain" {
			return badField(field+".mime_type", "texts here are text/plain")
		}
		if _, _, err := parseInput(input.GetGcsSource().GetInputUri()); err != nil {
			return badField(field+".gcs_source.input_uri", err.Error())
		}
	}
	return nil
}

// parseInput returns the path of an input, or with a "*" at its end the prefix of the paths of
// some.
func parseInput(uri string) (name string, some bool, err error) {
	before, some := strings.CutSuffix(uri, "*")
	name, err = parseURI(before)
	switch {
	case err != nil:
		return "", false, err
	case some && !strings.Contains(name, "/"), !some && !strings.Contains(strings.TrimSuffix(name, "/"), "/"):
		return "", false, fmt.Errorf("must name an object of a bucket")
	case !some && !isText(name):
		return "", false, fmt.Errorf("must end in .txt; that is all that is translated here")
	}
	return name, some, nil
}

func isText(name string) bool { return path.Ext(name) == ".txt" }

// outputPrefix is where the output of a batch goes, of which there is one at a time.
func outputPrefix(req *translatepb.BatchTranslateTextRequest) string {
	return req.GetOutputConfig().GetGcsDestination().GetOutputUriPrefix()
}

func (b *batches) checkOutput(_ context.Context, req *translatepb.BatchTranslateTextRequest) error {
	const field = "output_config.gcs_destination.output_uri_prefix"
	prefix, err := parseURI(outputPrefix(req))
	if err != nil {
		return badField(field, err.Error())
	}
	if !strings.HasSuffix(prefix, "/") {
		return badField(field, "must end in a slash")
	}
	bucket, _, _ := strings.Cut(prefix, "/")
	if info, err := b.files.root.Stat(bucket); err != nil || !info.IsDir() {
		return badField(field, "there is no bucket "+bucket)
	}
	there, err := b.files.match(prefix, every, 1)
	if err != nil {
		return err
	}
	if len(there) > 0 {
		return badField(field, "there must be no files under it")
	}
	return b.checkFolder(field, prefix)
}

// checkFolder refuses a prefix that a directory cannot stand for, as Cloud Storage could.
func (b *batches) checkFolder(field, prefix string) error {
	parts := strings.Split(strings.TrimSuffix(prefix, "/"), "/")
	for i, part := range parts {
		if len(part) > maxNameBytes {
			return badField(field, fmt.Sprintf("between slashes there must be at most %d bytes", maxNameBytes))
		}
		if info, err := b.files.root.Stat(path.Join(parts[:i+1]...)); err == nil && !info.IsDir() {
			return badField(field, "is below a file")
		}
	}
	return nil
}

// checkGlossaries wants a glossary for every target, of the same place and languages.
func (b *batches) checkGlossaries(ctx context.Context, req *translatepb.BatchTranslateTextRequest) error {
	for target := range req.GetGlossaries() {
		if !slices.Contains(req.GetTargetLanguageCodes(), target) {
			return badField("glossaries", "there is one for a language that is not a target")
		}
	}
	_, err := b.loadGlossaries(ctx, req)
	return err
}

// loadGlossaries returns the glossary of every target. The run asks for them again: they may
// have gone in between.
func (b *batches) loadGlossaries(ctx context.Context, req *translatepb.BatchTranslateTextRequest) (map[string]*kept, error) {
	loaded := map[string]*kept{}
	for _, target := range req.GetTargetLanguageCodes() {
		config := req.GetGlossaries()[target]
		name := config.GetGlossary()
		switch {
		case name == "":
			return nil, badField("glossaries", "there is none for "+target+", and no model that could do without")
		case !strings.HasPrefix(name, req.GetParent()+"/glossaries/"):
			return nil, badField("glossaries", "a glossary must be of the same location")
		}
		g, err := b.glossaries.load(ctx, name)
		if err != nil {
			return nil, err
		}
		if p := g.resource.GetLanguagePair(); p.GetSourceLanguageCode() != req.GetSourceLanguageCode() || p.GetTargetLanguageCode() != target {
			return nil, refuse(codes.InvalidArgument, "GLOSSARY_LANGUAGE_MISMATCH", name+" is of other languages", map[string]string{"resource": name})
		}
		if config.GetIgnoreCase() {
			g.terms = g.terms.folded()
		}
		loaded[target] = g
	}
	return loaded, nil
}
