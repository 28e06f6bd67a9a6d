package duck

import (
	"unsafe"

	"github.com/duckdb/duckdb-go/v2/mapping"
)

// ChunkRows is how many rows a chunk holds at most.
const ChunkRows = 2048

// A Chunk is a piece of a table or of a result: columns of DuckDB's own memory, which
// are read and written in place. It is valid until the function that it was given to
// returns, and belongs to one goroutine.
type Chunk struct {
	columns []vector
	rows    int
}

// A vector is a column of a chunk.
type vector struct {
	ptr  mapping.Vector // nothing for a column that the query does not use
	data unsafe.Pointer
	mask unsafe.Pointer // 1 for a row that is not NULL; nil when none is

	items *Chunk // of a list, once it was asked for
}

func vectorOf(v mapping.Vector) vector {
	return vector{ptr: v, data: mapping.VectorGetData(v), mask: mapping.VectorGetValidity(v)}
}

// resultChunk returns the rows of a chunk that DuckDB made.
func resultChunk(c mapping.DataChunk) *Chunk {
	out := &Chunk{rows: int(mapping.DataChunkGetSize(c)), columns: make([]vector, mapping.DataChunkGetColumnCount(c))}
	for i := range out.columns {
		out.columns[i] = vectorOf(mapping.DataChunkGetVector(c, mapping.IdxT(i)))
	}
	return out
}

// Len returns the number of rows of a result's chunk.
func (c *Chunk) Len() int { return c.rows }

// Cap returns how many rows a chunk that is filled takes.
func (c *Chunk) Cap() int { return ChunkRows }

// Wants reports whether the query uses a column.
func (c *Chunk) Wants(column int) bool { return c.columns[column].data != nil }

// Values returns a column as a slice: of uint8, int32, uint32, int64, uint64, float64 or
// bool as its type says, a TIMESTAMPTZ as int64 microseconds. It returns nil for a column
// that the query does not use. Rows that are NULL have any value.
func Values[T uint8 | int32 | uint32 | int64 | uint64 | float64 | bool](c *Chunk, column int) []T {
	v := &c.columns[column]
	if v.data == nil {
		return nil
	}
	return unsafe.Slice((*T)(v.data), c.rows)
}

// Null reports whether a value is NULL.
func (c *Chunk) Null(column, row int) bool {
	mask := c.columns[column].mask
	return mask != nil && *word(mask, row)&(1<<(row%64)) == 0
}

// SetNull makes a value NULL.
func (c *Chunk) SetNull(column, row int) {
	v := &c.columns[column]
	if v.mask == nil {
		mapping.VectorEnsureValidityWritable(v.ptr)
		v.mask = mapping.VectorGetValidity(v.ptr)
	}
	*word(v.mask, row) &^= 1 << (row % 64)
}

func word(mask unsafe.Pointer, row int) *uint64 {
	return (*uint64)(unsafe.Add(mask, row/64*8))
}

// A text is a VARCHAR or BLOB as duckdb.h lays it out (duckdb_string_t): its length, and
// up to 12 bytes themselves or a prefix of 4 and a pointer.
type text struct {
	length uint32
	inline [12]byte
}

const inlineBytes = 12

// Bytes returns a VARCHAR or BLOB in place; nil for NULL.
func (c *Chunk) Bytes(column, row int) []byte {
	if c.Null(column, row) {
		return nil
	}
	t := (*text)(unsafe.Add(c.columns[column].data, row*int(unsafe.Sizeof(text{}))))
	if t.length <= inlineBytes {
		return t.inline[:t.length:t.length]
	}
	return unsafe.Slice(*(**byte)(unsafe.Pointer(&t.inline[4])), t.length)
}

// SetBytes copies a VARCHAR or BLOB; nil is NULL.
func (c *Chunk) SetBytes(column, row int, b []byte) {
	if b == nil {
		c.SetNull(column, row)
		return
	}
	c.columns[column].set(row, unsafe.String(unsafe.SliceData(b), len(b)))
}

// SetString copies a VARCHAR.
func (c *Chunk) SetString(column, row int, s string) { c.columns[column].set(row, s) }

func (v *vector) set(row int, s string) {
	if len(s) > inlineBytes {
		mapping.VectorAssignStringElement(v.ptr, mapping.IdxT(row), s)
		return
	}
	t := (*text)(unsafe.Add(v.data, row*int(unsafe.Sizeof(text{}))))
	*t = text{length: uint32(len(s))}
	copy(t.inline[:], s)
}

// SetMap writes a MAP(VARCHAR, VARCHAR). The rows of a chunk are written in their order.
func (c *Chunk) SetMap(column, row int, keys, values []string) {
	list := c.columns[column]
	from := mapping.ListVectorGetSize(list.ptr)
	n := from + mapping.IdxT(len(keys))
	mapping.ListVectorReserve(list.ptr, n)
	mapping.ListVectorSetSize(list.ptr, n)
	entry := (*[2]uint64)(unsafe.Add(list.data, row*16)) // duckdb_list_entry: offset and length
	*entry = [2]uint64{uint64(from), uint64(len(keys))}
	pairs := mapping.ListVectorGetChild(list.ptr)
	for i, column := range [][]string{keys, values} {
		v := vectorOf(mapping.StructVectorGetChild(pairs, mapping.IdxT(i)))
		for j, s := range column {
			v.set(int(from)+j, s)
		}
	}
}
