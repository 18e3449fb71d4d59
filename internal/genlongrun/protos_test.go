package genlongrun

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"google.golang.org/protobuf/proto"
	"google.golang.org/protobuf/reflect/protodesc"
	"google.golang.org/protobuf/types/descriptorpb"
)

// What is written stands on its own, and has what an annotated proto imports.
func TestGoogleProtos(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "google.binpb")
	var out, log bytes.Buffer
	if status := Run([]string{"--google-protos", file}, strings.NewReader(""), &out, &log); status != 0 {
		t.Fatalf("exit status %d, want 0: %s", status, &log)
	}
	body, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	set := &descriptorpb.FileDescriptorSet{}
	if err := proto.Unmarshal(body, set); err != nil {
		t.Fatal(err)
	}
	files, err := protodesc.NewFiles(set)
	if err != nil {
		t.Fatal(err)
	}
	for _, path := range []string{
		"google/api/annotations.proto", "google/api/client.proto", "google/api/field_behavior.proto", "google/api/field_info.proto",
		"google/api/resource.proto", "google/longrunning/operations.proto", "google/protobuf/empty.proto",
		"google/protobuf/field_mask.proto", "google/protobuf/timestamp.proto", "google/rpc/status.proto",
	} {
		if _, err := files.FindFileByPath(path); err != nil {
			t.Errorf("%s: %v", path, err)
		}
	}
}

func TestGoogleProtos_NoPlace(t *testing.T) {
	t.Parallel()
	var log bytes.Buffer
	file := filepath.Join(t.TempDir(), "missing", "google.binpb")
	if status := Run([]string{"--google-protos", file}, strings.NewReader(""), &bytes.Buffer{}, &log); status != 1 {
		t.Errorf("exit status %d, want 1", status)
	}
	if !strings.Contains(log.String(), "no such file") {
		t.Errorf("it says %q, and not why", &log)
	}
}
