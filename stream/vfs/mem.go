package vfs

import (
	"errors"
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"path"
	"slices"
	"strings"
	"sync"
)

// ErrCrashed is what every call on a Mem returns after its Crash or Kill.
var ErrCrashed = errors.New("the machine has crashed")

// OpKind is a kind of call that can be told to fail.
type OpKind string

const (
	OpCreate   OpKind = "create"
	OpWrite    OpKind = "write"
	OpSync     OpKind = "sync"
	OpTruncate OpKind = "truncate"
	OpRename   OpKind = "rename"
	OpRemove   OpKind = "remove"
	OpSyncDir  OpKind = "syncdir"
)

// Op is a call that is about to happen.
type Op struct {
	Kind OpKind
	Name string
	Size int // of a write
}

// Fault is how a call fails.
type Fault struct {
	Err error
	// Short is how many bytes a write writes before it fails.
	Short int
	// Persisted makes a failing sync, and every other call than a write, do its work all
	// the same. A sync that fails without it drops what was written and calls it clean:
	// readers still see it, a later sync succeeds, and a crash loses it.
	Persisted bool
}

// Mem is a file system in memory that can fail and crash. It is safe for concurrent use.
type Mem struct {
	mu      sync.Mutex
	root    *memDir
	locks   map[string]bool
	fault   func(Op) *Fault
	crashed bool
}

// NewMem returns an empty file system.
func NewMem() *Mem { return &Mem{root: newMemDir(), locks: map[string]bool{}} }

// Inject has f asked before every call: the call fails as the Fault says, unless it is
// nil. f must not call the file system.
func (m *Mem) Inject(f func(Op) *Fault) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.fault = f
}

// memDir is a directory: the names as programs see them, and as a crash would leave them.
type memDir struct {
	names   map[string]any // *memDir or *memFile
	durable map[string]any
	changes []dirChange // since the last sync, in order
}

// dirChange gives a name a meaning, none if node is nil. A rename is two names at once.
type dirChange struct {
	name string
	node any
	gone string // also loses its meaning, if not empty
}

func newMemDir() *memDir { return &memDir{names: map[string]any{}, durable: map[string]any{}} }

func (c dirChange) apply(names map[string]any) {
	if c.gone != "" {
		delete(names, c.gone)
	}
	if c.node == nil {
		delete(names, c.name)
	} else {
		names[c.name] = c.node
	}
}

func (d *memDir) change(c dirChange) {
	c.apply(d.names)
	d.changes = append(d.changes, c)
}

// memFile is a file: the bytes as programs see them, and as a crash would leave them.
type memFile struct {
	data    []byte
	durable []byte
	writes  []memWrite // since the last sync, in order
}

// memWrite is a write, or a truncation when data is nil.
type memWrite struct {
	at   int64
	data []byte
}

func (w memWrite) apply(b []byte) []byte {
	if w.data == nil {
		if w.at <= int64(len(b)) {
			return b[:w.at:w.at]
		}
		return append(b, make([]byte, w.at-int64(len(b)))...)
	}
	if end := w.at + int64(len(w.data)); end > int64(len(b)) {
		b = append(b, make([]byte, end-int64(len(b)))...)
	}
	copy(b[w.at:], w.data)
	return b
}

func (f *memFile) persist() {
	for _, w := range f.writes {
		f.durable = w.apply(f.durable)
	}
	f.writes = nil
}

func (m *Mem) check(op Op) (*Fault, error) {
	if m.crashed {
		return nil, &fs.PathError{Op: string(op.Kind), Path: op.Name, Err: ErrCrashed}
	}
	if m.fault == nil || op.Kind == "" {
		return nil, nil
	}
	if f := m.fault(op); f != nil {
		return f, &fs.PathError{Op: string(op.Kind), Path: op.Name, Err: f.Err}
	}
	return nil, nil
}

func clean(name string) []string {
	name = strings.Trim(path.Clean("/"+name), "/")
	if name == "" {
		return nil
	}
	return strings.Split(name, "/")
}

func notExist(op, name string) error { return &fs.PathError{Op: op, Path: name, Err: fs.ErrNotExist} }

// dir finds a directory by the parts of its name.
func (m *Mem) dir(parts []string, op, name string) (*memDir, error) {
	d := m.root
	for _, p := range parts {
		next, ok := d.names[p].(*memDir)
		if !ok {
			return nil, notExist(op, name)
		}
		d = next
	}
	return d, nil
}

// split finds the directory that a name is in.
func (m *Mem) split(op, name string) (*memDir, string, error) {
	parts := clean(name)
	if len(parts) == 0 {
		return nil, "", &fs.PathError{Op: op, Path: name, Err: fs.ErrInvalid}
	}
	d, err := m.dir(parts[:len(parts)-1], op, name)
	return d, parts[len(parts)-1], err
}

// do runs a change unless it is to fail, or also when it fails but is to persist.
func (m *Mem) do(op Op, change func() error) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	fault, err := m.check(op)
	if err != nil {
		if fault != nil && fault.Persisted {
			return errors.Join(err, change())
		}
		return err
	}
	return change()
}

func (m *Mem) Create(name string) (File, error) {
	f := &memFile{}
	err := m.do(Op{Kind: OpCreate, Name: name}, func() error {
		d, base, err := m.split("create", name)
		if err != nil {
			return err
		}
		if d.names[base] != nil {
			return &fs.PathError{Op: "create", Path: name, Err: fs.ErrExist}
		}
		d.change(dirChange{name: base, node: f})
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &memHandle{fs: m, name: name, file: f, writable: true}, nil
}

func (m *Mem) Open(name string) (File, error)      { return m.open(name, false) }
func (m *Mem) OpenWrite(name string) (File, error) { return m.open(name, true) }

func (m *Mem) open(name string, writable bool) (File, error) {
	var f *memFile
	err := m.do(Op{Name: name}, func() error {
		d, base, err := m.split("open", name)
		if err != nil {
			return err
		}
		var ok bool
		if f, ok = d.names[base].(*memFile); !ok {
			return notExist("open", name)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	return &memHandle{fs: m, name: name, file: f, writable: writable}, nil
}

func (m *Mem) Rename(from, to string) error {
	return m.do(Op{Kind: OpRename, Name: from}, func() error {
		d, base, err := m.split("rename", from)
		if err != nil {
			return err
		}
		node := d.names[base]
		if node == nil {
			return notExist("rename", from)
		}
		if path.Dir(path.Clean(from)) != path.Dir(path.Clean(to)) {
			return fmt.Errorf("rename %s to %s: the in-memory file system renames within a directory only", from, to)
		}
		d.change(dirChange{name: path.Base(to), node: node, gone: base})
		return nil
	})
}

func (m *Mem) Remove(name string) error {
	return m.do(Op{Kind: OpRemove, Name: name}, func() error {
		d, base, err := m.split("remove", name)
		if err != nil {
			return err
		}
		if d.names[base] == nil {
			return notExist("remove", name)
		}
		d.change(dirChange{name: base})
		return nil
	})
}

func (m *Mem) RemoveAll(name string) error {
	return m.do(Op{Kind: OpRemove, Name: name}, func() error {
		d, base, err := m.split("remove", name)
		if err == nil && d.names[base] != nil {
			d.change(dirChange{name: base})
		}
		return nil
	})
}

func (m *Mem) MkdirAll(name string) error {
	return m.do(Op{Name: name}, func() error {
		d := m.root
		for _, p := range clean(name) {
			switch next := d.names[p].(type) {
			case *memDir:
				d = next
			case nil:
				made := newMemDir()
				d.names[p], d.durable[p] = made, made
				d = made
			default:
				return &fs.PathError{Op: "mkdir", Path: name, Err: fs.ErrExist}
			}
		}
		return nil
	})
}

func (m *Mem) ReadDir(name string) ([]string, error) {
	var names []string
	err := m.do(Op{Name: name}, func() error {
		d, err := m.dir(clean(name), "readdir", name)
		if err == nil {
			names = slices.Sorted(maps.Keys(d.names))
		}
		return err
	})
	return names, err
}

// SyncDir that fails without Persisted leaves the changes for a later one.
func (m *Mem) SyncDir(name string) error {
	return m.do(Op{Kind: OpSyncDir, Name: name}, func() error {
		d, err := m.dir(clean(name), "syncdir", name)
		if err == nil {
			d.durable, d.changes = maps.Clone(d.names), nil
		}
		return err
	})
}

type memLock struct {
	fs   *Mem
	name string
}

func (m *Mem) Lock(name string) (io.Closer, error) {
	err := m.do(Op{Name: name}, func() error {
		if m.locks[name] {
			return fmt.Errorf("lock %s: another process holds it", name)
		}
		m.locks[name] = true
		return nil
	})
	if err != nil {
		return nil, err
	}
	return memLock{m, name}, nil
}

func (l memLock) Close() error {
	l.fs.mu.Lock()
	defer l.fs.mu.Unlock()
	delete(l.fs.locks, l.name)
	return nil
}

// Update replaces the bytes of a file, durably, as damage to the disk does.
func (m *Mem) Update(name string, f func([]byte) []byte) error {
	return m.do(Op{Name: name}, func() error {
		d, base, err := m.split("update", name)
		if err != nil {
			return err
		}
		file, ok := d.names[base].(*memFile)
		if !ok {
			return notExist("update", name)
		}
		file.data = f(slices.Clone(file.data))
		file.durable, file.writes = slices.Clone(file.data), nil
		return nil
	})
}

// Crash returns the file system as it is found after the machine went down: what was
// synced, and by chance any part of what was not. Calls on m fail from then on.
func (m *Mem) Crash(chance *rand.Rand) *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.crashed = true
	return &Mem{root: m.root.crash(chance, map[any]any{}), locks: map[string]bool{}}
}

// Kill returns the file system as the next process finds it after this one was killed:
// with all that was written, synced or not. Calls on m fail from then on.
func (m *Mem) Kill() *Mem {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.crashed = true
	return &Mem{root: m.root, locks: map[string]bool{}}
}
