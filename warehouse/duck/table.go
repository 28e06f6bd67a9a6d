package duck

import (
	"context"
	"fmt"
	"time"

	duckdb "github.com/duckdb/duckdb-go/v2"
)

// A Type is the type of a column of a table function.
type Type = duckdb.Type

// The types that table functions use.
const (
	Boolean   = duckdb.TYPE_BOOLEAN
	Integer   = duckdb.TYPE_INTEGER
	UInteger  = duckdb.TYPE_UINTEGER
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

// A Chunk is a piece of a table that a Source fills.
type Chunk struct {
	chunk duckdb.DataChunk
	wants []bool
}

// Cap returns how many rows the chunk takes.
func (c *Chunk) Cap() int { return duckdb.GetDataChunkCapacity() }

// Wants reports whether the query uses a column. Writing one that it does not is slow.
func (c *Chunk) Wants(column int) bool { return c.wants[column] }

// Set writes a value of the column's type; nil is NULL.
func Set[T any](c *Chunk, column, row int, v T) error {
	return duckdb.SetChunkValue(c.chunk, column, row, v)
}

// SetTime writes a time given in epoch milliseconds.
func (c *Chunk) SetTime(column, row int, ms int64) error {
	return duckdb.SetChunkValue(c.chunk, column, row, time.UnixMilli(ms))
}

// A Map is a value of a column of type MAP(VARCHAR, VARCHAR).
type Map = duckdb.OrderedMap

// A Function is a table function written in Go.
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
	conn, err := db.pool.Conn(ctx)
	if err != nil {
		return err
	}
	defer conn.Close()
	infos := make([]duckdb.ColumnInfo, len(f.Fields))
	for i, field := range f.Fields {
		t, err := typeInfo(field.Type)
		if err != nil {
			return fmt.Errorf("table function %s: %w", f.Name, err)
		}
		infos[i] = duckdb.ColumnInfo{Name: field.Name, T: t}
	}
	err = duckdb.RegisterTableUDF(conn, f.Name, duckdb.ParallelChunkTableFunction{
		BindArgumentsContext: func(ctx context.Context, _ map[string]any, _ ...any) (duckdb.ParallelChunkTableSource, error) {
			return &scan{ctx: ctx, infos: infos, function: &f}, nil
		},
	})
	if err != nil {
		return fmt.Errorf("table function %s: %w", f.Name, err)
	}
	return nil
}

func typeInfo(t Type) (duckdb.TypeInfo, error) {
	if t != 0 {
		return duckdb.NewTypeInfo(t)
	}
	text, err := duckdb.NewTypeInfo(duckdb.TYPE_VARCHAR)
	if err != nil {
		return nil, err
	}
	return duckdb.NewMapInfo(text, text)
}

// A scan is one use of a table function in one query. DuckDB frees it without telling;
// what it holds ends with the query's context.
type scan struct {
	ctx      context.Context
	infos    []duckdb.ColumnInfo
	function *Function

	source Source
	err    error
	wants  []bool
}

func (s *scan) ColumnInfos() []duckdb.ColumnInfo { return s.infos }

func (s *scan) Cardinality() *duckdb.CardinalityInfo {
	return &duckdb.CardinalityInfo{Cardinality: s.function.Rows}
}

func (s *scan) Init() duckdb.ParallelTableSourceInfo {
	s.source, s.err = s.function.Open(s.ctx)
	return duckdb.ParallelTableSourceInfo{MaxThreads: 1}
}

func (s *scan) NewLocalState() any { return nil }

func (s *scan) FillChunk(_ any, chunk duckdb.DataChunk) error {
	if s.err != nil {
		return s.err
	}
	if s.source == nil {
		return chunk.SetSize(0)
	}
	if s.wants == nil {
		s.wants = make([]bool, len(s.infos))
		for i := range s.wants {
			_, err := chunk.GetVector(i)
			s.wants[i] = err == nil
		}
	}
	n, err := s.source.Fill(&Chunk{chunk, s.wants})
	if err != nil {
		return err
	}
	return chunk.SetSize(n)
}
