package main

import (
	"fmt"
	"strings"
	"testing"

	"cloud.google.com/go/longrunning/autogen/longrunningpb"
	"cloud.google.com/go/translate/apiv3/translatepb"
	"google.golang.org/genproto/googleapis/rpc/errdetails"
	"google.golang.org/grpc/codes"
)

// OP-19: what could never be done is refused by the starting call, naming the field, and
// nothing is stored.
func TestBegin_Refuses(t *testing.T) {
	t.Parallel()
	s := newSystem(t, 0)
	s.createGlossary(t, "God,Gott\n")
	s.write(t, "texts/a.txt", "God")
	s.write(t, "out/full/a.txt", "there")
	s.write(t, "out/file", "there")
	uri := func(req *translatepb.BatchTranslateTextRequest, uri string) {
		req.GetInputConfigs()[0].GetGcsSource().InputUri = uri
	}
	prefix := func(req *translatepb.BatchTranslateTextRequest, uri string) {
		req.GetOutputConfig().GetGcsDestination().OutputUriPrefix = uri
	}
	for _, tt := range []struct {
		name, field string
		spoil       func(req *translatepb.BatchTranslateTextRequest)
	}{
		{"no location", "parent", func(req *translatepb.BatchTranslateTextRequest) { req.Parent = "projects/p" }},
		{"long project", "parent", func(req *translatepb.BatchTranslateTextRequest) {
			req.Parent = "projects/" + strings.Repeat("p", 64) + "/locations/l"
		}},
		{"global", "parent", func(req *translatepb.BatchTranslateTextRequest) { req.Parent = "projects/p/locations/global" }},
		{"model", "models", func(req *translatepb.BatchTranslateTextRequest) { req.Models = map[string]string{"de": "m"} }},
		{"source language", "source_language_code", func(req *translatepb.BatchTranslateTextRequest) { req.SourceLanguageCode = "../en" }},
		{"target language", "target_language_codes", func(req *translatepb.BatchTranslateTextRequest) { req.TargetLanguageCodes = []string{"de/x"} }},
		{"a target twice", "target_language_codes", func(req *translatepb.BatchTranslateTextRequest) { req.TargetLanguageCodes = []string{"de", "de"} }},
		{"many targets", "target_language_codes", func(req *translatepb.BatchTranslateTextRequest) {
			for i := range maxTargets {
				req.TargetLanguageCodes = append(req.TargetLanguageCodes, fmt.Sprintf("de-x%d", i))
			}
		}},
		{"many inputs", "input_configs", func(req *translatepb.BatchTranslateTextRequest) {
			for range maxInputs {
				req.InputConfigs = append(req.InputConfigs, req.InputConfigs[0])
			}
		}},
		{"mime type", "input_configs[0].mime_type", func(req *translatepb.BatchTranslateTextRequest) { req.InputConfigs[0].MimeType = "text/html" }},
		{"no URI", "input_configs[0].gcs_source.input_uri", func(req *translatepb.BatchTranslateTextRequest) { uri(req, "/etc/passwd") }},
		{"escape", "input_configs[0].gcs_source.input_uri", func(req *translatepb.BatchTranslateTextRequest) { uri(req, "gs://texts/../a.txt") }},
		{"a bucket", "input_configs[0].gcs_source.input_uri", func(req *translatepb.BatchTranslateTextRequest) { uri(req, "gs://texts") }},
		{"all buckets", "input_configs[0].gcs_source.input_uri", func(req *translatepb.BatchTranslateTextRequest) { uri(req, "gs://t*") }},
		{"kind of file", "input_configs[0].gcs_source.input_uri", func(req *translatepb.BatchTranslateTextRequest) { uri(req, "gs://texts/a.tsv") }},
		{"no slash", "output_config.gcs_destination.output_uri_prefix", func(req *translatepb.BatchTranslateTextRequest) { prefix(req, "gs://out/a") }},
		{"no prefix", "output_config.gcs_destination.output_uri_prefix", func(req *translatepb.BatchTranslateTextRequest) { prefix(req, "out/a/") }},
		{"no bucket", "output_config.gcs_destination.output_uri_prefix", func(req *translatepb.BatchTranslateTextRequest) { prefix(req, "gs://none/a/") }},
		{"a file", "output_config.gcs_destination.output_uri_prefix", func(req *translatepb.BatchTranslateTextRequest) { prefix(req, "gs://out/file/") }},
		{"below a file", "output_config.gcs_destination.output_uri_prefix", func(req *translatepb.BatchTranslateTextRequest) { prefix(req, "gs://out/file/a/") }},
		{"a long part", "output_config.gcs_destination.output_uri_prefix", func(req *translatepb.BatchTranslateTextRequest) {
			prefix(req, "gs://out/"+strings.Repeat("x", maxNameBytes+1)+"/")
		}},
		{"files", "output_config.gcs_destination.output_uri_prefix", func(req *translatepb.BatchTranslateTextRequest) { prefix(req, "gs://out/full/") }},
		{"no glossary", "glossaries", func(req *translatepb.BatchTranslateTextRequest) {
			req.TargetLanguageCodes = []string{"de", "fr"}
		}},
		{"a glossary too many", "glossaries", func(req *translatepb.BatchTranslateTextRequest) { req.Glossaries["fr"] = req.Glossaries["de"] }},
		{"another location", "glossaries", func(req *translatepb.BatchTranslateTextRequest) {
			req.Glossaries["de"].Glossary = strings.Replace(glossary, "/l/", "/k/", 1)
		}},
	} {
		req := batch("gs://out/a/", "gs://texts/a.txt")
		tt.spoil(req)
		_, err := s.translate.BatchTranslateText(bounded(t), req)
		st := wantReason(t, err, codes.InvalidArgument, "INVALID_FIELD")
		field := ""
		for _, d := range st.Details() {
			if bad, ok := d.(*errdetails.BadRequest); ok {
				field = bad.GetFieldViolations()[0].GetField()
			}
		}
		if field != tt.field {
			t.Errorf("%s: field = %q, want %q: %v", tt.name, field, tt.field, err)
		}
	}
	list, err := s.operations.ListOperations(bounded(t), &longrunningpb.ListOperationsRequest{Name: location})
	if err != nil || len(list.GetOperations()) != 1 {
		t.Errorf("operations = %v, %v; want that of the glossary alone", list.GetOperations(), err)
	}
}

// An unknown glossary is NOT_FOUND, with its name (ERR-09); one of other languages is refused.
func TestBegin_Glossary(t *testing.T) {
	t.Parallel()
	s := newSystem(t, 0)
	s.createGlossary(t, "God,Gott\n")
	req := batch("gs://out/a/", "gs://texts/a.txt")
	req.Glossaries["de"].Glossary = location + "/glossaries/none"
	_, err := s.translate.BatchTranslateText(bounded(t), req)
	found := false
	for _, d := range wantReason(t, err, codes.NotFound, "GLOSSARY_NOT_FOUND").Details() {
		if r, ok := d.(*errdetails.ResourceInfo); ok {
			found = r.GetResourceName() == req.Glossaries["de"].Glossary && r.GetResourceType() == glossaryType
		}
	}
	if !found {
		t.Errorf("error = %v, want a ResourceInfo of the glossary", err)
	}
	req.Glossaries["de"].Glossary = glossary
	req.SourceLanguageCode = "fr"
	_, err = s.translate.BatchTranslateText(bounded(t), req)
	wantReason(t, err, codes.InvalidArgument, "GLOSSARY_LANGUAGE_MISMATCH")
}
