package access

import (
	"fmt"
	"strings"
)

// Scopes is a set of things that a token allows.
type Scopes uint8

// The scopes. Admin allows what the others do, and tokens and loads.
const (
	Ingest Scopes = 1 << iota // post points
	Read                      // pages, queries, live updates, SQL
	Admin                     // everything
)

var scopeNames = []struct {
	scope Scopes
	name  string
}{{Ingest, "ingest"}, {Read, "read"}, {Admin, "admin"}}

// Allow reports whether s holds every scope in need.
func (s Scopes) Allow(need Scopes) bool { return s&Admin != 0 || s&need == need }

// Names returns the scopes' names, in a fixed order.
func (s Scopes) Names() []string {
	names := []string{}
	for _, n := range scopeNames {
		if s&n.scope != 0 {
			names = append(names, n.name)
		}
	}
	return names
}

// String returns the names, separated by commas.
func (s Scopes) String() string { return strings.Join(s.Names(), ",") }

// ParseScopes returns the set that the names stand for. An empty list and an
// unknown name are errors.
func ParseScopes(names []string) (Scopes, error) {
	var s Scopes
next:
	for _, name := range names {
		for _, n := range scopeNames {
			if n.name == name {
				s |= n.scope
				continue next
			}
		}
		return 0, fmt.Errorf("scopes: %q is not one of ingest, read, admin", name)
	}
	if s == 0 {
		return 0, fmt.Errorf("scopes: name at least one of ingest, read, admin")
	}
	return s, nil
}
