package genlongrun

import (
	"slices"
	"strings"
	"testing"
)

// INF-05, INF-07: what the AIPs advise against is served, with a line for people.
func TestAdvice(t *testing.T) {
	t.Parallel()
	const extra = `message DoMetadata {} message OperationMetadata {} message BatchCreateReqsOperationMetadata {} message BatchAnyOperationMetadata {}
`
	const at = "acme.proto:13:5: warning: acme.v1.S."
	for _, tt := range []struct{ name, method, response, metadata, want string }{
		{"fine", "Do", "Resp", "DoMetadata", ""},
		{"shared", "Do", "Resp", "OperationMetadata", ""},
		{"struct", "Do", "Resp", "google.protobuf.Struct", ""},
		{"delete", "DeleteReq", "google.protobuf.Empty", "OperationMetadata", ""},
		{"purge", "PurgeReqs", "google.protobuf.Empty", "OperationMetadata", ""},
		{"empty-response", "Do", "google.protobuf.Empty", "DoMetadata",
			at + "Do: response_type is google.protobuf.Empty, to which no field can ever be added: prefer an empty message DoResponse (INF-05)"},
		{"empty-metadata", "DeleteReq", "google.protobuf.Empty", "google.protobuf.Empty",
			at + "DeleteReq: metadata_type is google.protobuf.Empty, to which no field can ever be added: prefer an empty message DeleteReqMetadata (INF-05)"},
		{"metadata-is-no-metadata", "Do", "Resp", "Req", at + "Do: metadata_type is called OperationMetadata or DoMetadata (INF-07)"},
		{"batch", "BatchCreateReqs", "Resp", "BatchCreateReqsOperationMetadata", ""},
		{"batch-shared", "BatchCreateReqs", "Resp", "BatchAnyOperationMetadata", ""},
		{"batch-other", "BatchCreateReqs", "Resp", "DoMetadata",
			at + "BatchCreateReqs: metadata_type of a batch method is called BatchCreateReqsOperationMetadata, or Batch...OperationMetadata, or OperationMetadata (INF-07)"},
		{"batch-of-another-kind", "BatchTranslateText", "Resp", "DoMetadata", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			text := extra + strings.Replace(annotated(tt.response, tt.metadata), "Do(", tt.method+"(", 1)
			resp, warnings := Generate(shape(shapeHeader+text).request(t, "", "acme.proto"), noFile)
			if resp.Error != nil || len(resp.File) != 1 {
				t.Errorf("refused: %s", resp.GetError())
			}
			if got := strings.Join(warnings, "\n"); got != tt.want {
				t.Errorf("warnings =\n%s\nwant\n%s", got, tt.want)
			}
		})
	}
}

// What is refused is not advised on besides; what stands beside it is.
func TestAdvice_BesideRefusals(t *testing.T) {
	t.Parallel()
	text := strings.Replace(annotated("google.protobuf.Empty", "Nope"), "}\n}", "}\n"+strings.ReplaceAll(lro("Other"), `"Resp"`, `"google.protobuf.Empty"`)+"}", 1)
	resp, warnings := Generate(shape(shapeHeader+text).request(t, "", "acme.proto"), noFile)
	if resp.Error == nil || len(warnings) != 1 || !slices.ContainsFunc(warnings, func(w string) bool { return strings.Contains(w, "acme.v1.S.Other: response_type") }) {
		t.Errorf("error %q, warnings %q; want a refusal, and a warning about Other", resp.GetError(), warnings)
	}
}
