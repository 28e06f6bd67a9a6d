package kinesis

import (
	"maps"
	"slices"
	"time"
)

// The statuses of streams and consumers.
const (
	creating = "CREATING"
	active   = "ACTIVE"
	updating = "UPDATING"
	deleting = "DELETING"
)

const (
	provisioned      = "PROVISIONED"
	onDemand         = "ON_DEMAND"
	autoDistribution = "AUTO"
	keyDistribution  = "USER_PARTITION_KEY"
	encryptionNone   = "NONE"
	encryptionKMS    = "KMS"

	defaultMaxRecordKiB = 1024
)

// A streamRecord is what the store keeps of a stream, as JSON under
// "kinesis/stream/<number>". Absent members have their defaults, so that a stream
// without a record is a provisioned one in which nothing was ever set. Times are epoch
// milliseconds.
type streamRecord struct {
	Name string `json:"name"` // for people who look at the store

	Phase string `json:"phase,omitempty"` // CREATING, UPDATING or DELETING; "" is ACTIVE
	Until int64  `json:"until,omitempty"` // when the phase is over, if no job is left then
	Job   *job   `json:"job,omitempty"`   // what Run has to do while the stream is UPDATING

	OnDemand     bool              `json:"on_demand,omitempty"`
	Auto         bool              `json:"auto,omitempty"`           // records are shared out without a look at their keys
	MaxRecordKiB int               `json:"max_record_kib,omitempty"` // 0 means 1024
	WarmMiBps    *int              `json:"warm_mibps,omitempty"`
	KeyID        string            `json:"key_id,omitempty"` // as StartStreamEncryption named it
	Metrics      []string          `json:"metrics,omitempty"`
	Tags         map[string]string `json:"tags,omitempty"`
	Policy       string            `json:"policy,omitempty"`
	Consumers    []consumerRecord  `json:"consumers,omitempty"` // by name

	Scaled []int64 `json:"scaled,omitempty"` // the calls of UpdateShardCount in the last day
	Moded  []int64 `json:"moded,omitempty"`  // the calls of UpdateStreamMode in the last day
}

// A job is a reshard that was accepted. One of its members is set.
type job struct {
	Split  *splitJob `json:"split,omitempty"`
	Merge  *mergeJob `json:"merge,omitempty"`
	Target int       `json:"target,omitempty"` // shards of equal size
}

// A consumerRecord is a registered consumer.
type consumerRecord struct {
	Name    string            `json:"name"`
	Created int64             `json:"created"`
	Phase   string            `json:"phase,omitempty"` // CREATING or DELETING
	Until   int64             `json:"until,omitempty"`
	Tags    map[string]string `json:"tags,omitempty"`
	Policy  string            `json:"policy,omitempty"`
}

// clone copies all that an edit may change in place.
func (r streamRecord) clone() streamRecord {
	r.Metrics = slices.Clone(r.Metrics)
	r.Tags = maps.Clone(r.Tags)
	r.Consumers = slices.Clone(r.Consumers)
	for i := range r.Consumers {
		r.Consumers[i].Tags = maps.Clone(r.Consumers[i].Tags)
	}
	r.Scaled, r.Moded = slices.Clone(r.Scaled), slices.Clone(r.Moded)
	return r
}

// status is the stream's at a moment. A DELETING stream is so until it is gone.
func (r *streamRecord) status(now time.Time) string {
	over := now.UnixMilli() >= r.Until && r.Job == nil
	switch {
	case r.Phase == "", over && r.Phase != deleting:
		return active
	}
	return r.Phase
}

// tidy takes out what time has made void.
func (r *streamRecord) tidy(now time.Time) {
	if r.status(now) == active {
		r.Phase, r.Until = "", 0
	}
	r.Consumers = slices.DeleteFunc(r.Consumers, func(c consumerRecord) bool { return c.gone(now) })
	for i := range r.Consumers {
		if c := &r.Consumers[i]; c.status(now) == active {
			c.Phase, c.Until = "", 0
		}
	}
	r.Scaled, r.Moded = lastDay(r.Scaled, now), lastDay(r.Moded, now)
}

func lastDay(times []int64, now time.Time) []int64 {
	before := now.Add(-24 * time.Hour).UnixMilli()
	return slices.DeleteFunc(times, func(t int64) bool { return t <= before })
}

// begin puts the stream into a phase.
func (r *streamRecord) begin(phase string, now time.Time, settle time.Duration) {
	r.Phase, r.Until = phase, now.Add(settle).UnixMilli()
}

func (r *streamRecord) mode() string {
	if r.OnDemand {
		return onDemand
	}
	return provisioned
}

func (r *streamRecord) maxRecordKiB() int {
	if r.MaxRecordKiB == 0 {
		return defaultMaxRecordKiB
	}
	return r.MaxRecordKiB
}

// consumer finds a registered consumer that is not gone.
func (r *streamRecord) consumer(name string, now time.Time) *consumerRecord {
	for i := range r.Consumers {
		if c := &r.Consumers[i]; c.Name == name && !c.gone(now) {
			return c
		}
	}
	return nil
}

// kept are the consumers that are not gone.
func (r *streamRecord) kept(now time.Time) []consumerRecord {
	return slices.DeleteFunc(slices.Clone(r.Consumers), func(c consumerRecord) bool { return c.gone(now) })
}

func (c *consumerRecord) status(now time.Time) string {
	if c.Phase == "" || c.Phase == creating && now.UnixMilli() >= c.Until {
		return active
	}
	return c.Phase
}

func (c *consumerRecord) gone(now time.Time) bool {
	return c.Phase == deleting && now.UnixMilli() >= c.Until
}
