package agent

import (
	"context"
	"errors"
	"os"
	"slices"
	"strings"

	"github.com/shirou/gopsutil/v4/cpu"
	"github.com/shirou/gopsutil/v4/disk"
	"github.com/shirou/gopsutil/v4/host"
	"github.com/shirou/gopsutil/v4/load"
	"github.com/shirou/gopsutil/v4/mem"
	"github.com/shirou/gopsutil/v4/net"
	"github.com/shirou/gopsutil/v4/process"
)

// cpuMode is the time that all processors together spent in a mode, in s.
type cpuMode struct {
	name string // "" for idle, which is not sent
	time float64
}

func (c *Collector) processors(ctx context.Context) error {
	times, err := cpu.TimesWithContext(ctx, false)
	if err != nil {
		return err
	}
	if len(times) == 0 {
		return errors.New("the system names no processor")
	}
	t := times[0]
	modes := []cpuMode{
		{"user", t.User}, {"system", t.System}, {"iowait", t.Iowait}, {"steal", t.Steal},
		{"nice", t.Nice}, {"irq", t.Irq + t.Softirq}, {"", t.Idle},
	}
	last := c.lastCPU
	c.lastCPU = modes
	for _, share := range shares(last, modes) {
		c.gauge("host.cpu.usage", share.time, "mode", share.name)
	}
	return nil
}

// shares returns what part of the time between two readings was spent in each
// mode but idle, in %. It returns nothing if no time has passed.
func shares(last, now []cpuMode) []cpuMode {
	if len(last) != len(now) {
		return nil
	}
	spent := make([]cpuMode, 0, len(now))
	var total float64
	for i := range now {
		d := max(0, now[i].time-last[i].time) // iowait is known to run backwards at times
		total += d
		if now[i].name != "" {
			spent = append(spent, cpuMode{now[i].name, d})
		}
	}
	if total == 0 {
		return nil
	}
	for i := range spent {
		spent[i].time *= 100 / total
	}
	return spent
}

func (c *Collector) load(ctx context.Context) error {
	l, err := load.AvgWithContext(ctx)
	if err != nil {
		return err
	}
	c.gauge("host.load1", l.Load1)
	c.gauge("host.load5", l.Load5)
	c.gauge("host.load15", l.Load15)
	return nil
}

func (c *Collector) memory(ctx context.Context) error {
	m, err := mem.VirtualMemoryWithContext(ctx)
	if err != nil {
		return err
	}
	used := float64(m.Total) - float64(m.Free) - float64(m.Cached) - float64(m.Buffers)
	c.gauge("host.memory.bytes", max(0, used), "state", "used")
	c.gauge("host.memory.bytes", float64(m.Cached), "state", "cached")
	c.gauge("host.memory.bytes", float64(m.Buffers), "state", "buffers")
	c.gauge("host.memory.bytes", float64(m.Free), "state", "free")
	if m.Total > 0 {
		c.gauge("host.memory.used_percent", 100*(1-float64(m.Available)/float64(m.Total)))
	}
	return nil
}

func (c *Collector) swap(ctx context.Context) error {
	m, err := mem.SwapMemoryWithContext(ctx)
	if err != nil {
		return err
	}
	if m.Total > 0 {
		c.gauge("host.swap.used_percent", m.UsedPercent)
	}
	return nil
}

func (c *Collector) disks(ctx context.Context) error {
	counters, err := disk.IOCountersWithContext(ctx)
	if err != nil {
		return err
	}
	names := make([]string, 0, len(counters))
	for name := range counters {
		names = append(names, name)
	}
	for _, name := range wholeDisks(names) {
		c.total("host.disk.io", float64(counters[name].ReadBytes), "device", name, "direction", "read")
		c.total("host.disk.io", float64(counters[name].WriteBytes), "device", name, "direction", "write")
	}
	return nil
}

// wholeDisks returns, sorted, the devices whose bytes are not counted again by
// another: no partitions, no devices that are mapped onto others.
func wholeDisks(names []string) []string {
	var whole []string
	for _, name := range names {
		mapped := slices.ContainsFunc([]string{"loop", "ram", "zram", "dm-", "md", "sr", "fd"}, func(prefix string) bool {
			return strings.HasPrefix(name, prefix)
		})
		partition := slices.ContainsFunc(names, func(other string) bool {
			rest, ok := strings.CutPrefix(name, other)
			return ok && rest != "" && strings.Trim(strings.TrimPrefix(rest, "p"), "0123456789") == ""
		})
		if !mapped && !partition {
			whole = append(whole, name)
		}
	}
	slices.Sort(whole)
	return whole
}

func (c *Collector) network(ctx context.Context) error {
	counters, err := net.IOCountersWithContext(ctx, true)
	if err != nil {
		return err
	}
	names := make([]string, len(counters))
	for i := range counters {
		names[i] = counters[i].Name
	}
	keep := outerInterfaces(names)
	for _, n := range counters {
		if slices.Contains(keep, n.Name) {
			c.total("host.network.io", float64(n.BytesRecv), "direction", "in", "interface", n.Name)
			c.total("host.network.io", float64(n.BytesSent), "direction", "out", "interface", n.Name)
		}
	}
	return nil
}

// outerInterfaces leaves out what carries the same bytes a second time inside
// this machine: loopback, and the ends and bridges of containers. If nothing
// else is there it returns all names.
func outerInterfaces(names []string) []string {
	outer := slices.DeleteFunc(slices.Clone(names), func(name string) bool {
		return name == "lo" || strings.HasPrefix(name, "veth") || strings.HasPrefix(name, "br-") || strings.HasPrefix(name, "docker")
	})
	if len(outer) == 0 {
		return names
	}
	return outer
}

func (c *Collector) processes(ctx context.Context) error {
	pids, err := process.PidsWithContext(ctx)
	if err != nil {
		return err
	}
	c.gauge("host.processes", float64(len(pids)))
	return nil
}

func (c *Collector) uptime(ctx context.Context) error {
	seconds, err := host.UptimeWithContext(ctx)
	if err != nil {
		return err
	}
	c.gauge("host.uptime", float64(seconds))
	return nil
}

// maxFileSystems bounds how many mounts are reported; the rest, in the order of
// the system's table, is left out.
const maxFileSystems = 16

func (c *Collector) fileSystems(ctx context.Context) error {
	mounts := []string{"/"}
	partitions, err := disk.PartitionsWithContext(ctx, false)
	devices := map[string]bool{}
	for _, p := range partitions {
		if p.Mountpoint == "/" {
			devices[p.Device] = true
		}
	}
	for _, p := range partitions {
		info, statErr := os.Stat(p.Mountpoint)
		if devices[p.Device] || statErr != nil || !info.IsDir() || p.Fstype == "squashfs" || len(mounts) == maxFileSystems {
			continue
		}
		devices[p.Device] = true
		mounts = append(mounts, p.Mountpoint)
	}
	for _, mount := range mounts {
		usage, usageErr := disk.UsageWithContext(ctx, mount)
		if usageErr != nil {
			err = errors.Join(err, usageErr)
			continue
		}
		if usage.Total > 0 {
			c.gauge("host.disk.used_percent", usage.UsedPercent, "mount", mount)
		}
	}
	return err
}
