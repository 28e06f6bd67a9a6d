package pipeline

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/expr-lang/expr/vm"

	"freshet/ingest/point"
)

// Input is a record that a program is run on.
type Input struct {
	Data     []byte
	Key      []byte // the partition key
	Arrived  int64  // epoch milliseconds: the time of points that say none, and that against which times are checked
	Stream   string
	Shard    string
	Sequence string
}

// A Sink takes what a program makes. It copies what it is given.
type Sink interface {
	// Point takes a point that may be stored.
	Point(v *point.View)
	// Record takes a record for another stream.
	Record(stream, key string, data []byte)
	// Mishap takes what did not become anything.
	Mishap(m Mishap)
}

// A Mishap is a record, an event of it or an output that failed.
type Mishap struct {
	Field  string // such as output[1].value, or decode
	Reason string
}

// Outcome counts what became of a record.
type Outcome struct {
	Events   int // that it was decoded into
	Filtered int // of those, that the pipeline's filter left out
	Points   int
	Records  int
	Mishaps  int
	Bytes    int // of the strings of points, and of records
}

// A Machine runs a program on one record after the other. It belongs to one goroutine.
type Machine struct {
	p       *Program
	decoder *decoder
	vm      vm.VM
	env     map[string]any // for events that are no objects, or that are used as a whole
	record  map[string]any

	// Of the record under way.
	in   *Input
	sink Sink
	out  Outcome
	over bool // it has made all that it may

	view point.View
	text []byte // what view aliases
}

// Machine returns a machine for the program.
func (p *Program) Machine() *Machine {
	return &Machine{p: p, decoder: newDecoder(&p.Definition.Format, p.want), env: map[string]any{}, record: map[string]any{}}
}

// Run makes of a record what the program says.
func (m *Machine) Run(in *Input, sink Sink) Outcome {
	m.in, m.sink, m.out, m.over = in, sink, Outcome{}, false
	if m.p.wantRecord {
		clear(m.record)
		m.record["key"], m.record["stream"], m.record["shard"] = string(in.Key), in.Stream, in.Shard
		m.record["sequence"], m.record["arrived"] = in.Sequence, int(in.Arrived)
	}
	m.decoder.events(in.Data, in.Arrived, m.event, func(err error) { m.mishap("decode", err) })
	m.in, m.sink = nil, nil
	return m.out
}

func (m *Machine) mishap(field string, err error) {
	m.out.Mishaps++
	m.sink.Mishap(Mishap{field, err.Error()})
}

var errTooMany = fmt.Errorf("the record makes more than %d points and records, or %d bytes of them, or is more than %d events; the rest of it is left out", MaxMade, MaxMadeBytes, MaxEvents)

// event makes the outputs of an event.
func (m *Machine) event(value any) {
	m.out.Events++
	if m.over {
		return
	}
	if m.out.Events > MaxEvents {
		m.over = true
		m.mishap("decode", errTooMany)
		return
	}
	env, object := value.(map[string]any)
	if !object || m.p.wantValue {
		clear(m.env)
		for name, v := range env {
			m.env[name] = v
		}
		env = m.env
		env[valueName] = value
	}
	if m.p.wantRecord {
		env[recordName] = m.record
	}
	if !m.lets(m.p.before, env) {
		return
	}
	if m.p.filter != nil {
		pass, err := m.test(m.p.filter, env)
		if err != nil {
			m.mishap("filter", err)
			return
		}
		if !pass {
			m.out.Filtered++
			return
		}
	}
	if !m.lets(m.p.after, env) {
		return
	}
	for i := range m.p.outputs {
		m.output(&m.p.outputs[i], env, value)
	}
}

// lets names values. It returns false when one of them fails.
func (m *Machine) lets(all []let, env map[string]any) bool {
	for i := range all {
		v, err := all[i].value.run(&m.vm, env)
		if err != nil {
			m.mishap("let."+all[i].name, err)
			return false
		}
		env[all[i].name] = v
	}
	return true
}

// test evaluates a filter; null is false.
func (m *Machine) test(e *expression, env map[string]any) (bool, error) {
	v, err := e.run(&m.vm, env)
	if err != nil || v == nil {
		return false, err
	}
	pass, ok := v.(bool)
	if !ok {
		return false, fmt.Errorf("must be true or false, got %s", describe(v))
	}
	return pass, nil
}

// output makes one output of an event, or one for each element.
func (m *Machine) output(o *output, env map[string]any, event any) {
	if o.each == nil {
		m.make(o, env, event)
		return
	}
	v, err := o.each.run(&m.vm, env)
	if err != nil {
		m.mishap(o.at+".each", err)
		return
	}
	list, ok := elements(v)
	if !ok {
		m.mishap(o.at+".each", fmt.Errorf("must be an array, got %s", describe(v)))
		return
	}
	item, hadItem := env[o.as]
	index, hadIndex := env[indexName]
	for i, v := range list {
		env[o.as], env[indexName] = v, i
		m.make(o, env, v)
	}
	restore(env, o.as, item, hadItem)
	restore(env, indexName, index, hadIndex)
}

// elements returns the elements of an array as expressions make them; null has none.
func elements(v any) (list []any, ok bool) {
	switch v := v.(type) {
	case nil:
		return nil, true
	case []any:
		return v, true
	case []string:
		for _, s := range v {
			list = append(list, s)
		}
		return list, true
	case []int:
		for _, n := range v {
			list = append(list, n)
		}
		return list, true
	}
	return nil, false
}

func restore(env map[string]any, name string, v any, had bool) {
	if had {
		env[name] = v
	} else {
		delete(env, name)
	}
}

// make makes one point or record.
func (m *Machine) make(o *output, env map[string]any, event any) {
	if o.filter != nil {
		pass, err := m.test(o.filter, env)
		if err != nil {
			m.mishap(o.at+".filter", err)
		}
		if !pass {
			return
		}
	}
	if m.over {
		return
	}
	if m.out.Points+m.out.Records >= MaxMade || m.out.Bytes >= MaxMadeBytes {
		m.over = true
		m.mishap(o.at, errTooMany)
		return
	}
	if o.stream != "" {
		m.makeRecord(o, env, event)
		return
	}
	if field, err := m.makePoint(o, env); err != nil {
		var refused *point.Error
		if errors.As(err, &refused) {
			field, err = refused.Field, errors.New(refused.Reason)
		}
		m.mishap(o.at+"."+field, err)
		return
	}
	m.out.Points++
	m.out.Bytes += len(m.view.Metric) + len(m.view.Member)
	for _, l := range m.view.Labels {
		m.out.Bytes += len(l.Name) + len(l.Value)
	}
	m.sink.Point(&m.view)
}

// makePoint makes m.view the point of an output, or says which field is why not.
func (m *Machine) makePoint(o *output, env map[string]any) (field string, err error) {
	v := &m.view
	*v = point.View{Labels: v.Labels[:0], Type: point.Gauge, Time: m.in.Arrived}
	m.text = m.text[:0]
	if v.Metric, err = m.string(o.metric, env); err != nil {
		return "metric", err
	}
	if o.typ != nil {
		name, err := m.string(o.typ, env)
		if err != nil {
			return "type", err
		}
		t, ok := point.ParseType(string(name))
		if !ok {
			return "type", fmt.Errorf("must be gauge, counter, cumulative, distribution or set, got %.80q", name)
		}
		v.Type = t
	}
	if err = m.setValue(o, env); err != nil {
		return "value", err
	}
	if o.time != nil {
		at, err := o.time.run(&m.vm, env)
		if err == nil && at != nil {
			v.Time, err = o.clock.millis(at)
		}
		if err != nil {
			return "ts", err
		}
	}
	if field, err = m.setLabels(o, env); err != nil {
		return field, err
	}
	return "", v.Check(m.in.Arrived)
}

// string evaluates an expression for a string, which may not be missing.
func (m *Machine) string(e *expression, env map[string]any) ([]byte, error) {
	x, err := e.run(&m.vm, env)
	if err != nil {
		return nil, err
	}
	s, ok := x.(string)
	if !ok {
		return nil, fmt.Errorf("must be a string, got %s", describe(x))
	}
	return m.alias(s), nil
}

// alias copies a string to where it lives as long as the view.
func (m *Machine) alias(s string) []byte {
	start := len(m.text)
	m.text = append(m.text, s...)
	return m.text[start:len(m.text):len(m.text)]
}

func (m *Machine) setValue(o *output, env map[string]any) error {
	v := &m.view
	if o.value == nil {
		if v.Type != point.Counter {
			return errors.New("is missing; only a counter counts 1 without")
		}
		v.Value = 1
		return nil
	}
	x, err := o.value.run(&m.vm, env)
	if err != nil {
		return err
	}
	if v.Type == point.Set {
		v.Member, err = m.label(x)
		if err == nil && v.Member == nil {
			err = errors.New("is null")
		}
		return err
	}
	switch t := x.(type) {
	case bool:
		if t {
			v.Value = 1
		}
		return nil
	case string:
		if v.Value, err = strconv.ParseFloat(t, 64); err != nil {
			return fmt.Errorf("must be a number, got %s", describe(x))
		}
		return nil
	}
	n, ok := number(x)
	if !ok {
		return fmt.Errorf("must be a number, got %s", describe(x))
	}
	v.Value = n
	return nil
}

func (m *Machine) setLabels(o *output, env map[string]any) (field string, err error) {
	v := &m.view
	for i := range o.labels {
		l := &o.labels[i]
		x, err := l.value.run(&m.vm, env)
		if err != nil {
			return l.field, err
		}
		value, err := m.label(x)
		if err != nil {
			return l.field, err
		}
		if len(value) > 0 {
			v.Labels = append(v.Labels, point.LabelView{Name: l.name, Value: value})
		}
	}
	if o.labelsFrom == nil {
		return "", nil
	}
	x, err := o.labelsFrom.run(&m.vm, env)
	if err != nil || x == nil {
		return "labels_from", err
	}
	more, ok := x.(map[string]any)
	if !ok {
		return "labels_from", fmt.Errorf("must be a map, got %s", describe(x))
	}
	for name, x := range more {
		if slices.ContainsFunc(o.labels, func(l label) bool { return string(l.name) == name }) {
			continue // those that are named win
		}
		value, err := m.label(x)
		if err != nil {
			return "labels_from." + name, err
		}
		if len(value) > 0 {
			v.Labels = append(v.Labels, point.LabelView{Name: m.alias(name), Value: value})
		}
	}
	return "", nil
}

// label returns a value as text, nothing for null.
func (m *Machine) label(x any) ([]byte, error) {
	start := len(m.text)
	switch x := x.(type) {
	case nil:
		return nil, nil
	case string:
		m.text = append(m.text, x...)
	case bool:
		m.text = strconv.AppendBool(m.text, x)
	case time.Time:
		m.text = x.AppendFormat(m.text, time.RFC3339Nano)
	case int:
		m.text = strconv.AppendInt(m.text, int64(x), 10)
	default:
		n, ok := number(x)
		if !ok {
			return nil, fmt.Errorf("must be a string, a number, true or false, got %s", describe(x))
		}
		m.text = strconv.AppendFloat(m.text, n, 'f', -1, 64)
	}
	return m.text[start:len(m.text):len(m.text)], nil
}

// number returns a value of any type of number that expressions make.
func number(x any) (float64, bool) {
	switch n := x.(type) {
	case int:
		return float64(n), true
	case float64:
		return n, true
	case int64:
		return float64(n), true
	case uint64:
		return float64(n), true
	case int32:
		return float64(n), true
	case uint32:
		return float64(n), true
	case uint8:
		return float64(n), true
	case float32:
		return float64(n), true
	}
	return 0, false
}
