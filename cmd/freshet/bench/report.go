package bench

import (
	"encoding/json"
	"fmt"
	"io"
	"math"
	"slices"
	"text/tabwriter"
	"time"
)

// A Report is what a measurement found, in the order in which it is printed.
type Report struct {
	Name   string   `json:"name"`
	Lines  []Line   `json:"lines,omitempty"`
	Tables []*Table `json:"tables,omitempty"`
}

// A Table is rows of figures.
type Table struct {
	Name    string      `json:"name"`
	Columns []string    `json:"columns"`
	Rows    [][]float64 `json:"rows"`
}

func (t *Table) add(row ...float64) { t.Rows = append(t.Rows, row) }

// print writes the table with its figures aligned to the right.
func (t *Table) print(w io.Writer) error {
	out := tabwriter.NewWriter(w, 0, 0, 2, ' ', tabwriter.AlignRight)
	fmt.Fprintf(w, "\n%s\n", t.Name)
	for _, c := range t.Columns {
		fmt.Fprintf(out, "%s\t", c)
	}
	fmt.Fprintln(out)
	for _, row := range t.Rows {
		for _, v := range row {
			fmt.Fprintf(out, "%s\t", number(v))
		}
		fmt.Fprintln(out)
	}
	return out.Flush()
}

// A Line is one figure.
type Line struct {
	Name  string  `json:"name"`
	Value float64 `json:"value"`
	Unit  string  `json:"unit"`
	Note  string  `json:"note,omitempty"`
}

// add adds a figure. One that is no number, since nothing happened in the time, is 0 and
// says so: JSON has no other word for it.
func (r *Report) add(name string, value float64, unit, note string) {
	if math.IsNaN(value) || math.IsInf(value, 0) {
		value, note = 0, "not measured: nothing happened in the time"
	}
	r.Lines = append(r.Lines, Line{name, value, unit, note})
}

// Print writes the report as a table, or as one JSON object.
func (r *Report) Print(w io.Writer, asJSON bool) error {
	if asJSON {
		return json.NewEncoder(w).Encode(r)
	}
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintf(t, "%s\t\t\n", r.Name)
	for _, l := range r.Lines {
		fmt.Fprintf(t, "  %s\t%s %s\t%s\n", l.Name, number(l.Value), l.Unit, l.Note)
	}
	if err := t.Flush(); err != nil {
		return err
	}
	for _, table := range r.Tables {
		if err := table.print(w); err != nil {
			return err
		}
	}
	return nil
}

// number returns v with thousands apart, or three significant digits.
func number(v float64) string {
	if v < 1000 {
		return fmt.Sprintf("%.3g", v)
	}
	digits := fmt.Sprintf("%.0f", v)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

// quantile returns the q-quantile of durations in milliseconds; it sorts them.
func quantile(d []time.Duration, q float64) float64 {
	if len(d) == 0 {
		return 0
	}
	slices.Sort(d)
	return float64(d[int(q*float64(len(d)-1))]) / float64(time.Millisecond)
}
