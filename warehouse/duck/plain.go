package duck

import (
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"math"
	"math/big"
	"strconv"
	"strings"
	"time"

	duckdb "github.com/duckdb/duckdb-go/v2"
)

// largestExact is the greatest integer up to which every integer is a number in JSON
// readers that use float64.
const largestExact = 1 << 53

// Plain returns a value of a DuckDB type as one that encoding/json writes: times as
// RFC 3339 in UTC, dates and times of day as ISO 8601, integers beyond 2^53 and
// decimals as strings so that no digit is lost, NaN and infinities as null, blobs in
// base64, structs and maps as objects, lists as arrays, of a union its value.
func Plain(v any, typ string) any {
	switch v := v.(type) {
	case time.Time:
		return plainTime(v, typ)
	case int64:
		if v > largestExact || v < -largestExact {
			return strconv.FormatInt(v, 10)
		}
	case uint64:
		if v > largestExact {
			return strconv.FormatUint(v, 10)
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
		if x := float64(v); math.IsNaN(x) || math.IsInf(x, 0) {
			return nil
		}
	case []byte:
		if typ == "UUID" && len(v) == 16 {
			h := hex.EncodeToString(v)
			return h[:8] + "-" + h[8:12] + "-" + h[12:16] + "-" + h[16:20] + "-" + h[20:]
		}
		return base64.StdEncoding.EncodeToString(v)
	case duckdb.Decimal:
		return plainDecimal(v)
	case duckdb.Interval:
		return fmt.Sprintf("%d months %d days %v", v.Months, v.Days, time.Duration(v.Micros)*time.Microsecond)
	case duckdb.Union:
		return Plain(v.Value, memberTypes(typ)[v.Tag])
	case duckdb.OrderedMap, map[string]any, []any:
		return plainNested(v, typ)
	}
	return v
}

func plainTime(v time.Time, typ string) string {
	switch typ {
	case "DATE":
		return v.Format(time.DateOnly)
	case "TIME":
		return v.Format("15:04:05.999999")
	case "TIMETZ":
		return v.Format("15:04:05.999999Z07:00")
	}
	return v.UTC().Format(time.RFC3339Nano)
}

// plainDecimal returns a decimal with as many digits behind the point as its type has.
func plainDecimal(d duckdb.Decimal) string {
	digits, sign := d.Value.String(), ""
	if digits[0] == '-' {
		digits, sign = digits[1:], "-"
	}
	scale := int(d.Scale)
	if scale == 0 {
		return sign + digits
	}
	if missing := scale + 1 - len(digits); missing > 0 {
		digits = strings.Repeat("0", missing) + digits
	}
	point := len(digits) - scale
	return sign + digits[:point] + "." + digits[point:]
}

func plainNested(v any, typ string) any {
	switch v := v.(type) {
	case duckdb.OrderedMap:
		keyType, valueType := mapTypes(typ)
		out := make(map[string]any, v.Len())
		keys, values := v.Keys(), v.Values()
		for i := range keys {
			out[fmt.Sprint(Plain(keys[i], keyType))] = Plain(values[i], valueType)
		}
		return out
	case map[string]any:
		types := memberTypes(typ)
		out := make(map[string]any, len(v))
		for k, x := range v {
			out[k] = Plain(x, types[k])
		}
		return out
	case []any:
		child := ""
		if i := strings.LastIndexByte(typ, '['); i >= 0 {
			child = typ[:i] // T[] or T[3]
		}
		out := make([]any, len(v))
		for i, x := range v {
			out[i] = Plain(x, child)
		}
		return out
	}
	return v
}

// mapTypes returns K and V of MAP(K, V).
func mapTypes(typ string) (key, value string) {
	parts := inBrackets(typ, "MAP(")
	if len(parts) != 2 {
		return "", ""
	}
	return parts[0], parts[1]
}

// memberTypes returns the types of STRUCT("name" T, …) or UNION("name" T, …) by name.
func memberTypes(typ string) map[string]string {
	parts := append(inBrackets(typ, "STRUCT("), inBrackets(typ, "UNION(")...)
	types := make(map[string]string, len(parts))
	for _, p := range parts {
		// The name is in double quotes, and its own quotes are doubled.
		for end := 1; end < len(p); end++ {
			if p[end] != '"' {
				continue
			}
			if strings.HasPrefix(p[end:], `""`) {
				end++
				continue
			}
			types[strings.ReplaceAll(p[1:end], `""`, `"`)] = strings.TrimPrefix(p[end+1:], " ")
			break
		}
	}
	return types
}

// inBrackets returns what stands between the brackets of a type that begins with open,
// cut at the commas that are in no brackets or quotes of their own.
func inBrackets(typ, open string) []string {
	if !strings.HasPrefix(typ, open) || !strings.HasSuffix(typ, ")") {
		return nil
	}
	typ = typ[len(open) : len(typ)-1]
	var parts []string
	depth, start, quoted := 0, 0, false
	for i := range len(typ) {
		switch c := typ[i]; {
		case c == '"':
			quoted = !quoted
		case quoted:
		case c == '(':
			depth++
		case c == ')':
			depth--
		case c == ',' && depth == 0:
			parts = append(parts, typ[start:i])
			start = i + 2 // a space follows
		}
	}
	return append(parts, typ[start:])
}
