package longrun

import "strings"

// SupportPackageIsVersion1 is referred to by generated code, so that code of a
// newer protoc-gen-go-longrun does not compile with a package that is too old for
// it. Nothing else has a use for it.
const SupportPackageIsVersion1 = true

// UnderParent returns where the operations of a request live whose field parent
// is this one: the location "projects/*/locations/*" when parent begins with one,
// which is where Google's APIs keep theirs, else parent itself. It does not check
// parent; Start does.
func UnderParent(parent string) string {
	if location, ok := locationOf(parent); ok {
		return location
	}
	return parent
}

// BesideResource is UnderParent for a request that names a resource itself, as
// those of Update and Delete do: its location, else the parent of the resource,
// which is name without the last collection and id, or without the last segment
// where that is a singleton (AIP-156). It is "" for a resource without a parent.
func BesideResource(name string) string {
	if location, ok := locationOf(name); ok {
		return location
	}
	segments := strings.Count(name, "/") + 1
	drop := 2 - segments%2
	for range drop {
		name = name[:max(0, strings.LastIndexByte(name, '/'))]
	}
	return name
}

// locationOf returns the location that a resource name begins with.
func locationOf(name string) (string, bool) {
	const segments = 4 // projects, P, locations, L
	s := strings.SplitN(name, "/", segments+1)
	if len(s) < segments || s[0] != "projects" || s[1] == "" || s[2] != "locations" || s[3] == "" {
		return "", false
	}
	return strings.Join(s[:segments], "/"), true
}
