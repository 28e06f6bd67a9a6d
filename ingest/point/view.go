package point

// A View is a point whose strings alias a buffer of somebody else, so that reading one
// costs no allocation. It is valid for as long as that buffer is.
type View struct {
	Metric []byte
	Type   Type
	Labels []LabelView // in order of name once checked
	Time   int64       // epoch milliseconds
	Value  float64     // 0 for a Set
	Member []byte      // a Set's value

	from *cachedLabels // of a Scanner with a Cache
}

// cached returns where the labels are if a Cache has them, else nil.
func (v *View) cached() *cachedLabels {
	if v.from == nil || v.from.entry == nil {
		return nil
	}
	return v.from
}

// A LabelView is a Label that aliases a buffer of somebody else.
type LabelView struct{ Name, Value []byte }

// Set makes v the same point as p. It reuses the memory of v.Labels.
func (v *View) Set(p *Point) {
	v.SetSeries(&p.Series)
	v.Time, v.Value, v.Member = p.Time, p.Value, []byte(p.Member)
}

// SetSeries makes v a point of s, at time 0 and with no value. It allocates the strings.
func (v *View) SetSeries(s *Series) {
	labels := v.Labels[:0]
	for _, l := range s.Labels {
		labels = append(labels, LabelView{[]byte(l.Name), []byte(l.Value)})
	}
	*v = View{Metric: []byte(s.Metric), Type: s.Type, Labels: labels}
}
