package aggregate

import "freshet/aggregate/window"

// An eventClock is the greatest time seen in a shard, and from what time on its windows
// are not final yet. It is moved on by whole records, so it says the same whenever the
// log is read.
type eventClock struct {
	greatest int64 // epoch ms; 0 for none
	late     int64 // points before this, epoch ms, come after their window was final

	lateness, width int64
}

// clockFrom returns the clock of a shard whose greatest time so far is given.
func (e *Engine) clockFrom(greatest int64) eventClock {
	c := eventClock{lateness: e.options.Lateness.Milliseconds(), width: e.options.Window.Milliseconds()}
	c.to(greatest)
	return c
}

func (c *eventClock) to(greatest int64) {
	c.greatest = greatest
	c.late = window.Floor(greatest-c.lateness, c.width)
}

// see moves the clock on by the times of a record.
func (c *eventClock) see(times []int64) {
	greatest := c.greatest
	for _, t := range times {
		greatest = max(greatest, t)
	}
	if greatest > c.greatest {
		c.to(greatest)
	}
}
