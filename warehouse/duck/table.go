package duck

/*
#include <stdint.h>
#include <stdlib.h>

void freshetBind(void *);
void freshetInit(void *);
void freshetLocalInit(void *);
void freshetFill(void *, void *);
void freshetDelete(void *);
typedef void (*callback)(void *);
*/
import "C"

import (
	"context"
	"fmt"
	"runtime/cgo"
	"unsafe"

	duckdb "github.com/duckdb/duckdb-go/v2"
	"github.com/duckdb/duckdb-go/v2/mapping"
)

// A Type is the type of a column of a table function.
type Type = mapping.Type

// The types that table functions use.
const (
	Boolean   = duckdb.TYPE_BOOLEAN
	Integer   = duckdb.TYPE_INTEGER
	UInteger  = duckdb.TYPE_UINTEGER
	BigInt    = duckdb.TYPE_BIGINT
	UBigInt   = duckdb.TYPE_UBIGINT
	UTinyInt  = duckdb.TYPE_UTINYINT
	Double    = duckdb.TYPE_DOUBLE
	Varchar   = duckdb.TYPE_VARCHAR
	Blob      = duckdb.TYPE_BLOB
	Timestamp = duckdb.TYPE_TIMESTAMP_TZ
)

// A Field is a column of a table function.
type Field struct {
	Name string
	Type Type // 0 for a MAP of VARCHAR to VARCHAR
}

// A Source fills chunks for one scan of a table function. DuckDB calls it from one
// thread at a time.
type Source interface {
	// Fill writes rows from row 0 on and returns how many, 0 at the end.
	Fill(c *Chunk) (int, error)
}

// A Map is a value of a column of type MAP(VARCHAR, VARCHAR).
type Map = duckdb.OrderedMap

// A Function is a table function written in Go.
//
// It is made with DuckDB's C interface and not with the driver's, which writes cell by
// cell through a type switch: 20 times slower than the column as a slice.
type Function struct {
	Name   string
	Fields []Field
	Rows   uint // about how many, for the planner of joins
	// Open is called for every scan with the context of the query, or with one without
	// values when a view is made; a nil Source is an empty table.
	Open func(context.Context) (Source, error)
}

// TableFunction makes the function callable in SQL.
func (db *DB) TableFunction(ctx context.Context, f Function) error {
	s, err := db.Session(ctx)
	if err != nil {
		return err
	}
	defer s.Close()
	t := mapping.CreateTableFunction()
	defer mapping.DestroyTableFunction(&t)
	mapping.TableFunctionSetName(t, f.Name)
	mapping.TableFunctionSetExtraInfo(t, hold(&function{db, f}), unsafe.Pointer(C.callback(C.freshetDelete)))
	mapping.TableFunctionSetBind(t, unsafe.Pointer(C.callback(C.freshetBind)))
	mapping.TableFunctionSetInit(t, unsafe.Pointer(C.callback(C.freshetInit)))
	mapping.TableFunctionSetFunction(t, unsafe.Pointer(C.freshetFill))
	mapping.TableFunctionSupportsProjectionPushdown(t, true)
	if mapping.RegisterTableFunction(s.conn, t) == mapping.StateError {
		return fmt.Errorf("table function %s cannot be registered", f.Name)
	}
	return nil
}

// A function is a Function in its database.
type function struct {
	db *DB
	Function
}

// A bound is one use of a function in one query.
type bound struct {
	ctx      context.Context
	function *function
}

// A scan is one run of a bound function.
type scan struct {
	source Source
	places []int // columns of the function, in the order of the chunk's
	chunk  Chunk
}

// hold returns a pointer that C may keep, and that freshetDelete lets go.
func hold(v any) unsafe.Pointer {
	p := (*C.uintptr_t)(C.malloc(C.sizeof_uintptr_t))
	*p = C.uintptr_t(cgo.NewHandle(v))
	return unsafe.Pointer(p)
}

func held[T any](p unsafe.Pointer) T { return cgo.Handle(*(*C.uintptr_t)(p)).Value().(T) }

//export freshetDelete
func freshetDelete(p unsafe.Pointer) {
	cgo.Handle(*(*C.uintptr_t)(p)).Delete()
	C.free(p)
}

//export freshetBind
func freshetBind(p unsafe.Pointer) {
	info := mapping.BindInfo{Ptr: p}
	f := held[*function](mapping.BindGetExtraInfo(info))
	var c mapping.ClientContext
	mapping.TableFunctionGetClientContext(info, &c)
	ctx := f.db.contexts.of(uint64(mapping.ClientContextGetConnectionId(c)))
	mapping.DestroyClientContext(&c)
	for _, field := range f.Fields {
		t := logicalType(field.Type)
		mapping.BindAddResultColumn(info, field.Name, t)
		mapping.DestroyLogicalType(&t)
	}
	mapping.BindSetCardinality(info, mapping.IdxT(f.Rows), false)
	mapping.BindSetBindData(info, hold(&bound{ctx, f}), unsafe.Pointer(C.callback(C.freshetDelete)))
}

func logicalType(t Type) mapping.LogicalType {
	if t != 0 {
		return mapping.CreateLogicalType(t)
	}
	text := mapping.CreateLogicalType(Varchar)
	defer mapping.DestroyLogicalType(&text)
	return mapping.CreateMapType(text, text)
}

//export freshetInit
func freshetInit(p unsafe.Pointer) {
	info := mapping.InitInfo{Ptr: p}
	b := held[*bound](mapping.InitGetBindData(info))
	source, err := b.function.Open(b.ctx)
	if err != nil {
		mapping.InitSetError(info, err.Error())
		return
	}
	s := &scan{source: source, chunk: Chunk{columns: make([]vector, len(b.function.Fields)), rows: ChunkRows}}
	for i := range mapping.InitGetColumnCount(info) {
		s.places = append(s.places, int(mapping.InitGetColumnIndex(info, i)))
	}
	mapping.InitSetMaxThreads(info, 1)
	mapping.InitSetInitData(info, hold(s), unsafe.Pointer(C.callback(C.freshetDelete)))
}

//export freshetFill
func freshetFill(p, out unsafe.Pointer) {
	info, chunk := mapping.FunctionInfo{Ptr: p}, mapping.DataChunk{Ptr: out}
	s := held[*scan](mapping.FunctionGetInitData(info))
	n := 0
	if s.source != nil {
		for i, place := range s.places {
			if place < len(s.chunk.columns) { // a query that only counts asks for a column of its own
				s.chunk.columns[place] = vectorOf(mapping.DataChunkGetVector(chunk, mapping.IdxT(i)))
			}
		}
		var err error
		if n, err = s.source.Fill(&s.chunk); err != nil {
			mapping.FunctionSetError(info, err.Error())
			return
		}
	}
	mapping.DataChunkSetSize(chunk, mapping.IdxT(n))
}
