package genlongrun

import (
	"strings"
)

const (
	anyName    = "google.protobuf.Any"
	emptyName  = "google.protobuf.Empty"
	structName = "google.protobuf.Struct"
)

// adviseOn warns of what the AIPs advise against and the plugin can serve: of what
// cannot be taken back once it is released (INF-06).
func (c *checker) adviseOn(m *method) {
	name := string(m.Desc.Name())
	if m.response.Desc.FullName() == emptyName && !deletes(name) {
		c.warn(placeOf(m.Desc, optionsNumber, infoNumber, responseTypeNumber), m.Desc, "INF-05",
			"response_type is %s, to which no field can ever be added: prefer an empty message %sResponse", emptyName, name)
	}
	at := placeOf(m.Desc, optionsNumber, infoNumber, metadataTypeNumber)
	switch metadata := m.metadata.Desc; metadata.FullName() {
	case anyName, structName:
	case emptyName:
		c.warn(at, m.Desc, "INF-05", "metadata_type is %s, to which no field can ever be added: prefer an empty message %sMetadata", emptyName, name)
	default:
		if want := "OperationMetadata"; isBatch(name) && !strings.HasSuffix(string(metadata.Name()), want) {
			c.warn(at, m.Desc, "INF-07", "metadata_type of a batch method is called %s%s, or Batch...%s, or %s", name, want, want, want)
		} else if !strings.HasSuffix(string(metadata.Name()), "Metadata") {
			c.warn(at, m.Desc, "INF-07", "metadata_type is called OperationMetadata or %sMetadata", name)
		}
	}
}

// deletes reports whether a method of this name leaves nothing to return.
func deletes(name string) bool {
	for _, verb := range []string{"Delete", "BatchDelete", "Purge", "Remove"} {
		if strings.HasPrefix(name, verb) {
			return true
		}
	}
	return false
}

// isBatch reports whether a method of this name is one of AIP-233 to 235.
func isBatch(name string) bool {
	for _, verb := range []string{"BatchCreate", "BatchUpdate", "BatchDelete"} {
		if strings.HasPrefix(name, verb) {
			return true
		}
	}
	return false
}
