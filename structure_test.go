package freshet_test

import (
	"bufio"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"path/filepath"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
)

const (
	module       = "freshet/"
	maxFileLines = 600 // a bound; what to aim for stands in CONTRIBUTING.md
)

// A sourceFile is a Go file of this module.
type sourceFile struct {
	path      string // from the root, with slashes
	pkg       string // folder from the root
	test      bool
	generated bool
	lines     int
	syntax    *ast.File // package clause, imports and comments
}

var generatedLine = regexp.MustCompile(`^// Code generated .* DO NOT EDIT\.$`)

// readSources parses every Go file below the root, down to its imports.
func readSources(t *testing.T) []sourceFile {
	t.Helper()
	var files []sourceFile
	err := filepath.WalkDir(".", func(name string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if entry.IsDir() {
			if base := entry.Name(); base == "node_modules" || base == "testdata" || (strings.HasPrefix(base, ".") && base != ".") {
				return fs.SkipDir
			}
			return nil
		}
		if !strings.HasSuffix(name, ".go") {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		syntax, err := parser.ParseFile(token.NewFileSet(), name, text, parser.ImportsOnly|parser.ParseComments)
		if err != nil {
			return err
		}
		slashed := filepath.ToSlash(name)
		first, _, _ := strings.Cut(string(text), "\n")
		files = append(files, sourceFile{
			path: slashed, pkg: path.Dir(slashed), test: strings.HasSuffix(slashed, "_test.go"),
			generated: generatedLine.MatchString(first), lines: strings.Count(string(text), "\n"), syntax: syntax,
		})
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return files
}

// importsOf returns what a file imports.
func importsOf(t *testing.T, f sourceFile) []string {
	t.Helper()
	var list []string
	for _, spec := range f.syntax.Imports {
		name, err := strconv.Unquote(spec.Path.Value)
		if err != nil {
			t.Fatal(err)
		}
		list = append(list, name)
	}
	return list
}

var inBackquotes = regexp.MustCompile("`([^`]+)`")

// readTable returns the first two columns of the table under a heading of
// ARCHITECTURE.md: for each name in the first column the names in the second.
func readTable(t *testing.T, heading string) map[string][]string {
	t.Helper()
	file, err := os.Open("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	defer file.Close()
	table, inside := map[string][]string{}, false
	for lines := bufio.NewScanner(file); lines.Scan(); {
		line := lines.Text()
		if strings.HasPrefix(line, "#") {
			inside = strings.TrimLeft(line, "# ") == heading
			continue
		}
		cells := strings.Split(line, "|")
		if !inside || len(cells) < 4 {
			continue
		}
		names := inBackquotes.FindAllStringSubmatch(cells[1], -1)
		if len(names) != 1 {
			continue // the table's head, or its rule
		}
		allowed := []string{}
		for _, match := range inBackquotes.FindAllStringSubmatch(cells[2], -1) {
			allowed = append(allowed, match[1])
		}
		table[names[0][1]] = allowed
	}
	if len(table) == 0 {
		t.Fatalf("ARCHITECTURE.md has no table under %q", heading)
	}
	return table
}

// covers reports whether pattern, a folder or a folder with /..., holds pkg.
func covers(pattern, pkg string) bool {
	if tree, ok := strings.CutSuffix(pattern, "/..."); ok {
		return pkg == tree || strings.HasPrefix(pkg, tree+"/")
	}
	return pattern == pkg
}

// TestImportsFollowTheTable holds what the product's packages import of each
// other to the table in ARCHITECTURE.md.
func TestImportsFollowTheTable(t *testing.T) {
	table := readTable(t, "Who may import whom")
	seen := map[string]bool{}
	for _, f := range readSources(t) {
		if f.pkg == "." {
			continue
		}
		row := ""
		for pattern := range table {
			if covers(pattern, f.pkg) && (row == "" || pattern == f.pkg) { // a row of its own wins over one for a tree
				row = pattern
			}
		}
		if row == "" {
			t.Errorf("%s: package %s is not in ARCHITECTURE.md's table", f.path, f.pkg)
			continue
		}
		seen[row] = true
		if f.test {
			continue // a test may look at its package from anywhere
		}
		for _, name := range importsOf(t, f) {
			imported, ours := strings.CutPrefix(name, module)
			if !ours || covers(row, imported) {
				continue
			}
			if !slices.ContainsFunc(table[row], func(p string) bool { return covers(p, imported) || p == "everything" }) {
				t.Errorf("%s: imports %s, which the table does not allow %s", f.path, imported, row)
			}
		}
	}
	for pattern := range table {
		if !seen[pattern] {
			t.Errorf("ARCHITECTURE.md's table names %s, which does not exist", pattern)
		}
	}
}

// TestOnlyImporters holds outside packages to the places that ARCHITECTURE.md
// gives them.
func TestOnlyImporters(t *testing.T) {
	table := readTable(t, "Who alone may import what")
	for _, f := range readSources(t) {
		for _, name := range importsOf(t, f) {
			for outside, places := range table {
				if f.test || (name != outside && !strings.HasPrefix(name, outside+"/")) {
					continue
				}
				if !slices.ContainsFunc(places, func(p string) bool { return covers(p, f.pkg) }) {
					t.Errorf("%s: imports %s, which only %v may", f.path, name, places)
				}
			}
		}
	}
}

// proofNamed matches a test or a script that ARCHITECTURE.md names.
var proofNamed = regexp.MustCompile("`([a-z/]+)\\.(Test[A-Za-z0-9]+)`|`(cmd/freshet/testdata/[a-z/]+\\.txt)`")

// TestProofsExist looks that every test behind an invariant is there.
func TestProofsExist(t *testing.T) {
	text, err := os.ReadFile("ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	proofs := proofNamed.FindAllStringSubmatch(string(text), -1)
	if len(proofs) < 7 {
		t.Fatalf("ARCHITECTURE.md names %d proofs, fewer than there are invariants", len(proofs))
	}
	tests := map[string]string{} // what the test files of a package say
	for _, f := range readSources(t) {
		if f.test {
			content, err := os.ReadFile(f.path)
			if err != nil {
				t.Fatal(err)
			}
			tests[f.pkg] += string(content)
		}
	}
	for _, p := range proofs {
		pkg, name, script := p[1], p[2], p[3]
		if script != "" {
			if _, err := os.Stat(script); err != nil {
				t.Errorf("ARCHITECTURE.md names a script: %v", err)
			}
		} else if !strings.Contains(tests[pkg], "func "+name+"(") {
			t.Errorf("ARCHITECTURE.md names %s in %s, which does not exist", name, pkg)
		}
	}
}

// TestPackageComments wants one file of every package to say what it is.
func TestPackageComments(t *testing.T) {
	commented := map[string]bool{}
	for _, f := range readSources(t) {
		if f.test || f.generated {
			continue
		}
		commented[f.pkg] = commented[f.pkg] || (f.syntax.Doc != nil && len(strings.TrimSpace(f.syntax.Doc.Text())) > 0)
	}
	for pkg, ok := range commented {
		if !ok {
			t.Errorf("package %s has no package comment", pkg)
		}
	}
}

// TestFileSizes wants files that can be read in one sitting.
func TestFileSizes(t *testing.T) {
	for _, f := range readSources(t) {
		if !f.generated && !f.test && f.lines > maxFileLines {
			t.Errorf("%s: %d lines, more than %d: take a part out", f.path, f.lines, maxFileLines)
		}
	}
}
