package main

import (
	"context"
	"encoding/base64"
	"errors"
	"io"
	"path"
	"regexp"
	"strings"
	"time"

	"cloud.google.com/go/translate/apiv3/translatepb"
	"google.golang.org/grpc/codes"
	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/types/known/timestamppb"

	"github.com/longrun-dev/longrun"
	"github.com/longrun-dev/longrun/sqlite"
)

// glossaries are the glossaries of the API: resources that a long-running method creates from a
// file and another one deletes. They are kept beside the operations, in a table of this example's own.
type glossaries struct {
	store *sqlite.Store
	files *storage
}

// kept is a glossary as it is in the table.
type kept struct {
	resource *translatepb.Glossary
	terms    *terms
	// revision is the operation that has created it. A glossary that was deleted and created
	// again has the same name and another revision.
	revision string
}

const (
	maxGlossaryBytes = 10 << 20
	maxPage          = 1000
)

var glossaryPattern = regexp.MustCompile(`^projects/[^/]+/locations/[^/]+/glossaries/[a-z0-9][a-z0-9_-]{0,254}$`)

// load returns a glossary, NOT_FOUND where there is none.
func (g *glossaries) load(ctx context.Context, name string) (*kept, error) {
	row, err := g.row(ctx, name)
	if err != nil {
		return nil, err
	}
	if row == nil {
		return nil, missing("GLOSSARY_NOT_FOUND", glossaryType, name)
	}
	t, err := parseTerms(row.terms, separator(row.resource))
	return &kept{resource: row.resource, terms: t, revision: row.operation}, err
}

func separator(g *translatepb.Glossary) rune {
	if path.Ext(g.GetInputConfig().GetGcsSource().GetInputUri()) == ".tsv" {
		return '\t'
	}
	return ','
}

// beginCreate is the Begin hook of CreateGlossary.
func (g *glossaries) beginCreate(ctx context.Context, req *translatepb.CreateGlossaryRequest, d *longrun.Draft) error {
	glossary := req.GetGlossary()
	uri := glossary.GetInputConfig().GetGcsSource().GetInputUri()
	_, err := parseURI(uri)
	switch ext := path.Ext(uri); {
	case !glossaryPattern.MatchString(glossary.GetName()) || path.Dir(path.Dir(glossary.GetName())) != req.GetParent():
		return badField("glossary.name", "must be PARENT/glossaries/ID, with an ID of lower case letters, digits, dashes and underscores")
	case !languagePattern.MatchString(glossary.GetLanguagePair().GetSourceLanguageCode()), !languagePattern.MatchString(glossary.GetLanguagePair().GetTargetLanguageCode()):
		return badField("glossary.language_pair", "must have the codes of two languages; glossaries here are of one direction")
	case err != nil:
		return badField("glossary.input_config.gcs_source.input_uri", err.Error())
	case ext != ".csv" && ext != ".tsv":
		return badField("glossary.input_config.gcs_source.input_uri", "must end in .csv or .tsv")
	}
	row, err := g.row(ctx, glossary.GetName())
	if err != nil {
		return err
	}
	if row != nil {
		return alreadyExists(glossary.GetName())
	}
	d.Metadata = &translatepb.CreateGlossaryMetadata{Name: glossary.GetName(), State: translatepb.CreateGlossaryMetadata_RUNNING, SubmitTime: timestamppb.New(time.Now())}
	return nil
}

func alreadyExists(name string) error {
	return refuse(codes.AlreadyExists, "GLOSSARY_ALREADY_EXISTS", name+" exists already", map[string]string{"resource": name})
}

// create is the handler of CreateGlossary. A run that comes after a crash finds what an earlier
// one has written, and knows it by its operation.
func (g *glossaries) create(ctx context.Context, req *translatepb.CreateGlossaryRequest, run *longrun.Run[*translatepb.CreateGlossaryMetadata]) (*translatepb.Glossary, error) {
	created, err := g.build(ctx, req.GetGlossary(), run.Metadata().GetSubmitTime(), run.Name().String())
	state := translatepb.CreateGlossaryMetadata_SUCCEEDED
	switch cause := context.Cause(ctx); {
	case err == nil:
	case errors.Is(cause, longrun.ErrCancelled):
		state = translatepb.CreateGlossaryMetadata_CANCELLED
	case again(cause, err):
		return nil, err
	default:
		state = translatepb.CreateGlossaryMetadata_FAILED
	}
	run.Update(func(m *translatepb.CreateGlossaryMetadata) { m.State = state })
	return created, err
}

// build returns the glossary that an operation creates, which an earlier run of it may have done.
func (g *glossaries) build(ctx context.Context, wanted *translatepb.Glossary, submitted *timestamppb.Timestamp, operation string) (*translatepb.Glossary, error) {
	there, err := g.row(ctx, wanted.GetName())
	if err == nil && there == nil {
		there, err = g.make(ctx, wanted, submitted, operation)
	}
	switch {
	case err != nil:
		return nil, err
	case there.operation != operation:
		return nil, alreadyExists(wanted.GetName())
	}
	return there.resource, nil
}

// make adds a glossary to the table and returns what is there then.
func (g *glossaries) make(ctx context.Context, wanted *translatepb.Glossary, submitted *timestamppb.Timestamp, operation string) (*row, error) {
	resource := proto.CloneOf(wanted)
	body, err := g.read(resource.GetInputConfig().GetGcsSource().GetInputUri())
	if err != nil {
		return nil, err
	}
	t, err := parseTerms(body, separator(resource))
	if err != nil {
		return nil, badField("glossary.input_config.gcs_source.input_uri", err.Error())
	}
	resource.EntryCount = int32(len(t.target))
	resource.SubmitTime, resource.EndTime = submitted, timestamppb.New(time.Now())
	return g.insert(ctx, row{resource: resource, terms: body, operation: operation})
}

// read returns the file of a glossary.
func (g *glossaries) read(uri string) ([]byte, error) {
	name, err := parseURI(uri)
	if err != nil {
		return nil, err
	}
	f, _, err := g.files.open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	body, err := io.ReadAll(io.LimitReader(f, maxGlossaryBytes+1))
	if err == nil && len(body) > maxGlossaryBytes {
		err = badField("glossary.input_config.gcs_source.input_uri", "must be a file of 10 MiB at most")
	}
	return body, err
}

// beginDelete is the Begin hook of DeleteGlossary.
func (g *glossaries) beginDelete(ctx context.Context, req *translatepb.DeleteGlossaryRequest, d *longrun.Draft) error {
	if _, err := g.load(ctx, req.GetName()); err != nil {
		return err
	}
	d.Metadata = &translatepb.DeleteGlossaryMetadata{Name: req.GetName(), State: translatepb.DeleteGlossaryMetadata_RUNNING, SubmitTime: timestamppb.New(time.Now())}
	return nil
}

// delete is the handler of DeleteGlossary. To delete what an earlier run has deleted is no error.
func (g *glossaries) delete(ctx context.Context, req *translatepb.DeleteGlossaryRequest, run *longrun.Run[*translatepb.DeleteGlossaryMetadata]) (*translatepb.DeleteGlossaryResponse, error) {
	if err := g.remove(ctx, req.GetName()); err != nil {
		return nil, err
	}
	run.Update(func(m *translatepb.DeleteGlossaryMetadata) { m.State = translatepb.DeleteGlossaryMetadata_SUCCEEDED })
	return &translatepb.DeleteGlossaryResponse{Name: req.GetName(), SubmitTime: run.Metadata().GetSubmitTime(), EndTime: timestamppb.New(time.Now())}, nil
}

// GetGlossary returns a glossary, NOT_FOUND where there is none.
func (g *glossaries) GetGlossary(ctx context.Context, req *translatepb.GetGlossaryRequest) (*translatepb.Glossary, error) {
	k, err := g.load(ctx, req.GetName())
	if err != nil {
		return nil, err
	}
	return k.resource, nil
}

// ListGlossaries returns the glossaries of a location by their names, 100 or page_size of them at
// a time. The token of a page is the name of the last glossary of the page before.
func (g *glossaries) ListGlossaries(ctx context.Context, req *translatepb.ListGlossariesRequest) (*translatepb.ListGlossariesResponse, error) {
	prefix := req.GetParent() + "/glossaries/"
	after, err := base64.RawURLEncoding.DecodeString(req.GetPageToken())
	switch {
	case err != nil || len(after) > 0 && !strings.HasPrefix(string(after), prefix):
		return nil, badField("page_token", "is none of this list")
	case req.GetPageSize() < 0:
		return nil, badField("page_size", "must not be negative")
	case req.GetFilter() != "":
		return nil, badField("filter", "lists are not filtered here")
	case !locationPattern.MatchString(req.GetParent()):
		return nil, badField("parent", "must be projects/PROJECT/locations/LOCATION")
	}
	size := min(int(req.GetPageSize()), maxPage)
	if size == 0 {
		size = 100
	}
	found, err := g.list(ctx, prefix, string(after), size+1)
	if err != nil {
		return nil, err
	}
	resp := &translatepb.ListGlossariesResponse{Glossaries: found}
	if len(found) > size {
		resp.Glossaries = found[:size]
		resp.NextPageToken = base64.RawURLEncoding.EncodeToString([]byte(found[size-1].GetName()))
	}
	return resp, nil
}
