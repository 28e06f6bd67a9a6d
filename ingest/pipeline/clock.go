package pipeline

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// A Clock says how a timestamp is written.
type Clock struct {
	Unit   string         // of a number: auto, s, ms, us or ns
	Layout string         // of a string, as package time has it; "" means RFC 3339 or a number
	Zone   *time.Location // of a string that names none
}

// clock reads ts_unit, ts_format and ts_zone.
func (f *fields) clock() Clock {
	c := Clock{Unit: f.choice("ts_unit", "auto", "s", "ms", "us", "ns"), Zone: time.UTC}
	if format := f.str("ts_format"); format != "" {
		layout, err := layoutOf(format)
		if err != nil {
			f.fail("ts_format", "%v", err)
		}
		c.Layout = layout
	}
	if zone := f.str("ts_zone"); zone != "" {
		var err error
		if c.Zone, err = time.LoadLocation(zone); err != nil {
			f.fail("ts_zone", "there is no time zone %.80q", zone)
		}
	}
	return c
}

// directives of strftime, and what package time has for them.
var directives = map[byte]string{
	'Y': "2006", 'y': "06", 'm': "01", 'd': "02", 'e': "_2", 'b': "Jan", 'B': "January", 'a': "Mon", 'A': "Monday",
	'H': "15", 'I': "03", 'M': "04", 'S': "05", 'p': "PM", 'z': "-0700", 'Z': "MST", 'j': "002",
	'F': "2006-01-02", 'T': "15:04:05", 'f': "999999999", '%': "%",
}

// layoutOf makes a layout of package time of a format: rfc3339, or one with % as strftime
// has it, or such a layout itself.
func layoutOf(format string) (string, error) {
	if strings.EqualFold(format, "rfc3339") {
		return time.RFC3339Nano, nil
	}
	if !strings.Contains(format, "%") {
		if time.Unix(0, 0).UTC().Format(format) == format {
			return "", fmt.Errorf("%.80q says no part of a time; write it as %%Y-%%m-%%d %%H:%%M:%%S, or as 2006-01-02 15:04:05", format)
		}
		return format, nil
	}
	var b strings.Builder
	for i := 0; i < len(format); i++ {
		if format[i] != '%' {
			b.WriteByte(format[i])
			continue
		}
		i++
		if i == len(format) || directives[format[i]] == "" {
			return "", fmt.Errorf("%.80q: there is no %%%s; there are %%Y %%m %%d %%H %%M %%S %%f %%z %%Z %%y %%b %%B %%e %%a %%A %%I %%p %%j %%F %%T %%%%", format, format[i:min(i+1, len(format))])
		}
		b.WriteString(directives[format[i]])
	}
	return b.String(), nil
}

// millis makes epoch milliseconds of a value that an expression gave.
func (c *Clock) millis(v any) (int64, error) {
	switch v := v.(type) {
	case time.Time:
		return v.UnixMilli(), nil
	case string:
		return c.parse(v)
	case int:
		return c.whole(int64(v))
	case int64:
		return c.whole(v)
	}
	x, ok := number(v)
	if !ok {
		return 0, fmt.Errorf("must be a number, a string or a date, got %s", describe(v))
	}
	if math.IsNaN(x) || math.Abs(x) > math.MaxInt64/2 {
		return 0, fmt.Errorf("%v is no time", x)
	}
	perMilli := c.perMilli(x)
	if perMilli == 0 {
		return int64(math.Floor(x * 1000)), nil
	}
	return int64(math.Floor(x / float64(perMilli))), nil
}

// whole is millis for a whole number, which floating point would round.
func (c *Clock) whole(n int64) (int64, error) {
	perMilli := c.perMilli(float64(n))
	if perMilli == 0 {
		if n > math.MaxInt64/1000 || n < math.MinInt64/1000 {
			return 0, fmt.Errorf("%d is no time in seconds", n)
		}
		return n * 1000, nil
	}
	if n < 0 {
		n -= perMilli - 1
	}
	return n / perMilli, nil
}

// perMilli is how many of the unit a millisecond has, 0 for seconds. By itself a number
// below 1e11 is in seconds, which is the year 5138, below 1e14 in milliseconds, below 1e17
// in microseconds, and else in nanoseconds.
func (c *Clock) perMilli(x float64) int64 {
	unit := c.Unit
	if unit == "auto" {
		switch x := math.Abs(x); {
		case x < 1e11:
			unit = "s"
		case x < 1e14:
			unit = "ms"
		case x < 1e17:
			unit = "us"
		default:
			unit = "ns"
		}
	}
	switch unit {
	case "s":
		return 0
	case "us":
		return 1000
	case "ns":
		return 1_000_000
	}
	return 1
}

// parse reads a string.
func (c *Clock) parse(s string) (int64, error) {
	if c.Layout != "" {
		t, err := time.ParseInLocation(c.Layout, s, c.Zone)
		if err != nil {
			return 0, fmt.Errorf("%.80q is not as ts_format has it", s)
		}
		return t.UnixMilli(), nil
	}
	if t, err := time.Parse(time.RFC3339Nano, s); err == nil {
		return t.UnixMilli(), nil
	}
	if n, err := strconv.ParseInt(s, 10, 64); err == nil {
		return c.whole(n)
	}
	if x, err := strconv.ParseFloat(s, 64); err == nil {
		return c.millis(x)
	}
	return 0, fmt.Errorf("%.80q is neither RFC 3339 nor a number; ts_format says how other times are written", s)
}
