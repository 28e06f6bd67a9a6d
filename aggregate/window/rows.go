package window

import "slices"

// pageRows is how many rows a page holds: 2 KiB of them. The first page of a list begins
// smaller, since most metrics have few series.
const (
	pageShift = 5
	pageRows  = 1 << pageShift
	firstRows = 4
)

// Rows is a list of rows in pages. Those of a View never change.
type Rows struct {
	pages [][]Row
	n     int
}

// Len returns how many rows there are.
func (r *Rows) Len() int { return r.n }

// At returns a row, to read.
func (r *Rows) At(i int) *Row { return &r.pages[i>>pageShift][i&(pageRows-1)] }

// Pages returns in how many pieces the rows are, and Page one of them, to read.
func (r *Rows) Pages() int { return len(r.pages) }

// Page returns the rows of a page.
func (r *Rows) Page(k int) []Row { return r.pages[k][:min(pageRows, r.n-k<<pageShift)] }

// ownRows is a list of rows that grows and changes while views of it stay as they are:
// a page that a view shares is copied before it is written, so a view costs as much as
// changes after it, not as there is.
type ownRows struct {
	Rows
	epochs []uint32 // of the pages: they are shared where it is not the present one
	epoch  uint32   // rises with every view
	free   [][]Row  // whole pages
}

// own returns a row to write.
func (o *ownRows) own(i uint32) *Row {
	k := i >> pageShift
	if o.epochs[k] != o.epoch {
		o.replace(k, len(o.pages[k]))
	}
	return &o.pages[k][i&(pageRows-1)]
}

// replace copies a page to one of a size that no view shares.
func (o *ownRows) replace(k uint32, size int) {
	p := o.fresh(size)
	copy(p, o.pages[k])
	o.pages[k], o.epochs[k] = p, o.epoch
}

// fresh returns a page of any content.
func (o *ownRows) fresh(size int) []Row {
	if n := len(o.free); n > 0 && size == pageRows {
		p := o.free[n-1]
		o.free = o.free[:n-1]
		return p
	}
	return make([]Row, size)
}

// append adds a row, whose content the caller sets.
func (o *ownRows) append() (uint32, *Row) {
	i := uint32(o.n)
	switch k := i >> pageShift; {
	case int(k) == len(o.pages):
		size := pageRows
		if k == 0 {
			size = firstRows
		}
		o.pages, o.epochs = append(o.pages, o.fresh(size)), append(o.epochs, o.epoch)
	case int(i)&(pageRows-1) == len(o.pages[k]):
		o.replace(k, 2*len(o.pages[k]))
	}
	o.n++
	return i, o.own(i)
}

// share returns the rows as they are now.
func (o *ownRows) share() Rows {
	o.epoch++
	return Rows{slices.Clone(o.pages), o.n}
}

// clear empties the list and keeps the whole pages that no view shares.
func (o *ownRows) clear() {
	for k, p := range o.pages {
		if o.epochs[k] == o.epoch && len(p) == pageRows {
			o.free = append(o.free, p)
		}
	}
	clear(o.pages)
	o.pages, o.epochs, o.n = o.pages[:0], o.epochs[:0], 0
}

// bytes returns about how much memory the rows take.
func (o *ownRows) bytes() int64 {
	n := len(o.free) + max(0, len(o.pages)-1)
	size := int64(n * (pageRows*64 + 28))
	if len(o.pages) > 0 {
		size += int64(64 * len(o.pages[0]))
	}
	return size
}
