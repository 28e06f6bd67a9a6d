package vfs

import (
	"fmt"
	"io"
	"io/fs"
	"maps"
	"math/rand/v2"
	"slices"
)

// page is the piece of a write that the system writes back by itself.
const page = 4096

// memHandle is an open file of a Mem.
type memHandle struct {
	fs       *Mem
	name     string
	file     *memFile
	writable bool
	closed   bool // guarded by fs.mu
}

func (h *memHandle) do(op Op, write bool, change func() error) error {
	return h.fs.do(op, func() error { return h.allowed(write, change) })
}

func (h *memHandle) allowed(write bool, change func() error) error {
	if h.closed {
		return &fs.PathError{Op: "use", Path: h.name, Err: fs.ErrClosed}
	}
	if write && !h.writable {
		return &fs.PathError{Op: "write", Path: h.name, Err: fs.ErrPermission}
	}
	return change()
}

func (h *memHandle) ReadAt(p []byte, at int64) (n int, err error) {
	err = h.do(Op{Name: h.name}, false, func() error {
		if at >= int64(len(h.file.data)) {
			return io.EOF
		}
		if n = copy(p, h.file.data[at:]); n < len(p) {
			return io.EOF
		}
		return nil
	})
	return n, err
}

func (h *memHandle) WriteAt(p []byte, at int64) (n int, err error) {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	fault, failed := h.fs.check(Op{Kind: OpWrite, Name: h.name, Size: len(p)})
	if failed != nil && fault == nil {
		return 0, failed
	}
	if fault != nil {
		p = p[:min(len(p), fault.Short)]
	}
	err = h.allowed(true, func() error {
		if len(p) > 0 {
			w := memWrite{at, slices.Clone(p)}
			h.file.data = w.apply(h.file.data)
			h.file.writes = append(h.file.writes, w)
		}
		n = len(p)
		return nil
	})
	if failed != nil {
		err = failed
	}
	return n, err
}

func (h *memHandle) Truncate(size int64) error {
	return h.do(Op{Kind: OpTruncate, Name: h.name}, true, func() error {
		w := memWrite{at: size}
		h.file.data = slices.Clone(w.apply(h.file.data))
		h.file.writes = append(h.file.writes, w)
		return nil
	})
}

func (h *memHandle) Sync() error {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	fault, err := h.fs.check(Op{Kind: OpSync, Name: h.name})
	if fault != nil && !fault.Persisted {
		h.file.writes = nil // dropped, and clean from now on
	}
	if err != nil && (fault == nil || !fault.Persisted) {
		return err
	}
	if refused := h.allowed(false, func() error { h.file.persist(); return nil }); refused != nil {
		return refused
	}
	return err
}

func (h *memHandle) Size() (size int64, err error) {
	err = h.do(Op{Name: h.name}, false, func() error { size = int64(len(h.file.data)); return nil })
	return size, err
}

// Close works after a crash, too: a process that is gone holds nothing.
func (h *memHandle) Close() error {
	h.fs.mu.Lock()
	defer h.fs.mu.Unlock()
	if h.closed {
		return fmt.Errorf("close %s: %w", h.name, fs.ErrClosed)
	}
	h.closed = true
	return nil
}

// crash copies what a directory is found to hold. Seen keeps a file that two names lead
// to one file.
func (d *memDir) crash(chance *rand.Rand, seen map[any]any) *memDir {
	names := maps.Clone(d.durable)
	for _, c := range d.changes {
		if chance.IntN(2) == 0 {
			c.apply(names)
		}
	}
	found := newMemDir()
	for _, name := range slices.Sorted(maps.Keys(names)) {
		node := names[name]
		if seen[node] == nil {
			switch n := node.(type) {
			case *memDir:
				seen[node] = n.crash(chance, seen)
			case *memFile:
				seen[node] = n.crash(chance)
			}
		}
		found.names[name], found.durable[name] = seen[node], seen[node]
	}
	return found
}

// crash copies what a file is found to hold: of what was not synced all, nothing, the
// first part in order, or any pages, each torn at any byte.
func (f *memFile) crash(chance *rand.Rand) *memFile {
	b := slices.Clone(f.durable)
	mode := chance.IntN(4)
	keep := chance.IntN(len(f.writes) + 1)
	for i, w := range f.writes {
		switch {
		case mode == 0, mode == 1 && i < keep:
			b = w.apply(b)
		case mode == 1 && i == keep:
			b = w.torn(chance).apply(b)
		case mode == 2:
			b = w.pages(b, chance)
		}
	}
	return &memFile{data: b, durable: slices.Clone(b)}
}

// torn is the first part of a write, up to any byte.
func (w memWrite) torn(chance *rand.Rand) memWrite {
	if w.data != nil {
		w.data = w.data[:chance.IntN(len(w.data)+1)]
	}
	return w
}

// pages applies some pages of a write, whole or torn.
func (w memWrite) pages(b []byte, chance *rand.Rand) []byte {
	if w.data == nil {
		if chance.IntN(2) == 0 {
			b = w.apply(b)
		}
		return b
	}
	for at, rest := w.at, w.data; len(rest) > 0; {
		n := min(len(rest), int(page-at%page))
		piece := memWrite{at, rest[:n:n]}
		switch chance.IntN(3) {
		case 0:
			b = piece.apply(b)
		case 1:
			b = piece.torn(chance).apply(b)
		}
		at, rest = at+int64(n), rest[n:]
	}
	return b
}
