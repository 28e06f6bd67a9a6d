package access

import (
	"sync"
	"time"
)

// An address may fail to sign in this often in a window; then it waits for the
// window's end.
const (
	failuresAllowed = 10
	failureWindow   = time.Minute
)

// maxAddresses bounds what is remembered. Past it some address is forgotten, at
// no cost that grows: with 256 random bits a guess is hopeless anyway.
const maxAddresses = 4096

// failures counts failed sign-ins by address.
type failures struct {
	mu      sync.Mutex
	windows map[string]failureCount
}

type failureCount struct {
	began time.Time
	count int
}

// wait returns how long an address has to wait before it may try, 0 for not at
// all.
func (f *failures) wait(address string, now time.Time) time.Duration {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := f.windows[address]
	if left := failureWindow - now.Sub(w.began); w.count >= failuresAllowed && left > 0 {
		return left
	}
	return 0
}

// add notes one failure.
func (f *failures) add(address string, now time.Time) {
	f.mu.Lock()
	defer f.mu.Unlock()
	w := f.windows[address]
	if now.Sub(w.began) >= failureWindow {
		w = failureCount{began: now}
	}
	w.count++
	if f.windows == nil {
		f.windows = map[string]failureCount{}
	}
	if _, known := f.windows[address]; !known && len(f.windows) >= maxAddresses {
		for any := range f.windows {
			delete(f.windows, any)
			break
		}
	}
	f.windows[address] = w
}
