package pipeline

import (
	"errors"
	"fmt"
	"slices"
	"strconv"
	"time"

	"freshet/ingest/point"
)

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
