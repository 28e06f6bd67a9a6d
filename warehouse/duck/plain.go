package duck

import (
	"fmt"
	"math"
	"math/big"
	"time"

	duckdb "github.com/duckdb/duckdb-go/v2"
)

// largestExact is the greatest integer up to which every integer is a number in JSON
// readers that use float64.
const largestExact = 1 << 53

// Plain returns a value as one that encoding/json writes: times as RFC 3339 in UTC,
// dates and times of day as ISO 8601, integers beyond 2^53 and decimals as strings so
// that no digit is lost, NaN and infinities as null, blobs as bytes, maps as objects.
func Plain(v any, typ string) any {
	switch v := v.(type) {
	case time.Time:
		switch typ {
		case "DATE":
			return v.Format(time.DateOnly)
		case "TIME", "TIMETZ", "TIME WITH TIME ZONE":
			return v.Format("15:04:05.999999")
		}
		return v.UTC().Format(time.RFC3339Nano)
	case int64:
		if v > largestExact || v < -largestExact {
			return fmt.Sprint(v)
		}
	case uint64:
		if v > largestExact {
			return fmt.Sprint(v)
		}
	case *big.Int:
		if v.IsInt64() {
			return Plain(v.Int64(), typ)
		}
		return v.String()
	case float64:
		if math.IsNaN(v) || math.IsInf(v, 0) {
			return nil
		}
	case float32:
		return Plain(float64(v), typ)
	case duckdb.Decimal:
		return v.String()
	case duckdb.OrderedMap:
		out := make(map[string]any, v.Len())
		keys, values := v.Keys(), v.Values()
		for i := range keys {
			out[fmt.Sprint(keys[i])] = Plain(values[i], "")
		}
		return out
	case map[string]any:
		out := make(map[string]any, len(v))
		for k, x := range v {
			out[k] = Plain(x, "")
		}
		return out
	case []any:
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = Plain(x, "")
		}
		return out
	case duckdb.Interval:
		return fmt.Sprintf("%d months %d days %v", v.Months, v.Days, time.Duration(v.Micros)*time.Microsecond)
	}
	return v
}
