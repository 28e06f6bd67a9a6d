package kinesis

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"freshet/stream/kv"
)

const (
	commitmentOn     = "ENABLED"
	commitmentOff    = "DISABLED"
	commitmentEnding = "ENABLED_UNTIL_EARLIEST_ALLOWED_END"

	// minCommitment is how long a commitment lasts at least.
	minCommitment = 24 * time.Hour
)

// An accountRecord is what the store keeps of the account, as JSON under
// "kinesis/account". Times are epoch milliseconds.
type accountRecord struct {
	Enabled bool  `json:"enabled,omitempty"` // the minimum throughput billing commitment
	Started int64 `json:"started,omitempty"`
	Ends    int64 `json:"ends,omitempty"` // a commitment that was disabled: when it is over
}

// An accountView is one revision of the account's record. It never changes.
type accountView struct {
	accountRecord
	revision kv.Revision
}

// status is the commitment's at a moment.
func (r accountRecord) status(now time.Time) string {
	switch {
	case r.Enabled:
		return commitmentOn
	case now.UnixMilli() < r.Ends:
		return commitmentEnding
	}
	return commitmentOff
}

func (s *Service) loadAccount(ctx context.Context) error {
	v := &accountView{}
	e, err := s.store.Get(ctx, accountKey)
	switch {
	case err == nil:
		if err := json.Unmarshal(e.Value, &v.accountRecord); err != nil {
			return fmt.Errorf("%s is not readable: %w", accountKey, err)
		}
		v.revision = e.Revision
	case !errors.Is(err, kv.ErrNotFound):
		return fmt.Errorf("read %s: %w", accountKey, err)
	}
	s.account.Store(v)
	return nil
}

func (s *Service) describeAccountSettings(context.Context, *DescribeAccountSettingsInput) (*DescribeAccountSettingsOutput, error) {
	return &DescribeAccountSettingsOutput{s.commitment()}, nil
}

func (s *Service) commitment() *BillingCommitment {
	r := s.account.Load().accountRecord
	c := &BillingCommitment{Status: r.status(s.options.Now())}
	if r.Started != 0 {
		c.StartedAt = Timestamp(r.Started)
	}
	switch c.Status {
	case commitmentOff:
		c.EndedAt = Timestamp(r.Ends)
	default:
		c.EarliestAllowedEndAt = timestamp(time.UnixMilli(r.Started).Add(minCommitment))
	}
	return c
}

// updateAccountSettings begins a commitment, or ends it when it has lasted long enough;
// to enable one that is about to end takes the end back.
func (s *Service) updateAccountSettings(ctx context.Context, in *UpdateAccountSettingsInput) (*UpdateAccountSettingsOutput, error) {
	s.making.Lock()
	defer s.making.Unlock()
	if err := s.loadAccount(ctx); err != nil {
		return nil, err
	}
	v, now := s.account.Load(), s.options.Now()
	r, status := v.accountRecord, v.status(now)
	switch wanted := *in.MinimumThroughputBillingCommitment.Status; {
	case wanted == commitmentOn && status == commitmentOff:
		r = accountRecord{Enabled: true, Started: now.UnixMilli()}
	case wanted == commitmentOn:
		r.Enabled, r.Ends = true, 0
	case status == commitmentOn:
		r.Enabled, r.Ends = false, max(now.UnixMilli(), time.UnixMilli(r.Started).Add(minCommitment).UnixMilli())
	}
	if r != v.accountRecord {
		revision, err := s.put(ctx, accountKey, v.revision, r)
		if err != nil {
			return nil, err
		}
		s.account.Store(&accountView{r, revision})
	}
	return &UpdateAccountSettingsOutput{s.commitment()}, nil
}

func (s *Service) describeLimits(context.Context, *DescribeLimitsInput) (*DescribeLimitsOutput, error) {
	out := &DescribeLimitsOutput{ShardLimit: s.options.ShardLimit, OnDemandStreamCountLimit: maxOnDemandStreams}
	for _, st := range s.index.Load().byName {
		if st.view.Load().OnDemand {
			out.OnDemandStreamCount++
		} else {
			out.OpenShardCount += len(st.stream.OpenShards())
		}
	}
	return out, nil
}
