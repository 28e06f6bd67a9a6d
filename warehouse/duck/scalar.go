package duck

/*
void freshetCall(void *, void *, void *);
void freshetDelete(void *);
typedef void (*deletion)(void *);
*/
import "C"

import (
	"context"
	"fmt"
	"unsafe"

	"github.com/duckdb/duckdb-go/v2/mapping"
)

// An Arg is an argument of a scalar function: of a type, or a list of values of it.
type Arg struct {
	Type Type
	List bool
}

// A Scalar is a function written in Go that makes one value of the arguments of a row.
// A NULL among them makes a NULL, and the function is not called.
type Scalar struct {
	Name   string
	Args   []Arg
	Result Type
	// Call writes the value of a row of in into the same row of column 0 of out. DuckDB
	// calls it from several threads at a time.
	Call func(in *Chunk, row int, out *Chunk) error
}

// Scalar makes the function callable in SQL.
func (db *DB) Scalar(ctx context.Context, f Scalar) error {
	s, err := db.Session(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	d := mapping.CreateScalarFunction()
	defer mapping.DestroyScalarFunction(&d)
	mapping.ScalarFunctionSetName(d, f.Name)
	for _, a := range f.Args {
		t := mapping.CreateLogicalType(a.Type)
		if a.List {
			item := t
			t = mapping.CreateListType(item)
			mapping.DestroyLogicalType(&item)
		}
		mapping.ScalarFunctionAddParameter(d, t)
		mapping.DestroyLogicalType(&t)
	}
	t := mapping.CreateLogicalType(f.Result)
	mapping.ScalarFunctionSetReturnType(d, t)
	mapping.DestroyLogicalType(&t)
	mapping.ScalarFunctionSetExtraInfo(d, hold(&f), unsafe.Pointer(C.deletion(C.freshetDelete)))
	mapping.ScalarFunctionSetFunction(d, unsafe.Pointer(C.freshetCall))
	if mapping.RegisterScalarFunction(s.conn, d) == mapping.StateError {
		return fmt.Errorf("function %s cannot be registered", f.Name)
	}
	return nil
}

//export freshetCall
func freshetCall(p, in, out unsafe.Pointer) {
	info := mapping.FunctionInfo{Ptr: p}
	f := held[*Scalar](mapping.ScalarFunctionGetExtraInfo(info))
	args := resultChunk(mapping.DataChunk{Ptr: in})
	result := &Chunk{columns: []vector{vectorOf(mapping.Vector{Ptr: out})}, rows: args.rows}
	for row := range args.rows {
		if args.anyNull(row) {
			result.SetNull(0, row)
			continue
		}
		if err := f.Call(args, row, result); err != nil {
			mapping.ScalarFunctionSetError(info, f.Name+": "+err.Error())
			return
		}
	}
}

func (c *Chunk) anyNull(row int) bool {
	for i := range c.columns {
		if c.Null(i, row) {
			return true
		}
	}
	return false
}

// List returns the values of a list as rows from ≤ i < to of column 0 of a chunk, which
// is the same one for all rows of the column.
func (c *Chunk) List(column, row int) (items *Chunk, from, to int) {
	v := &c.columns[column]
	if v.items == nil {
		child := mapping.ListVectorGetChild(v.ptr)
		v.items = &Chunk{columns: []vector{vectorOf(child)}, rows: int(mapping.ListVectorGetSize(v.ptr))}
	}
	entry := (*[2]uint64)(unsafe.Add(v.data, row*16)) // duckdb_list_entry: offset and length
	return v.items, int(entry[0]), int(entry[0] + entry[1])
}
