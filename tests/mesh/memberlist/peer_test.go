// The figures of docs/swim.md for memberlist, made by the same faults: its own code in a bubble of virtual time.
//
// A network of this file stands between its members: packets take 0.2 to 1 ms, streams are pipes. A line of JSON a figure.
package memberlist_test

import (
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"math/rand"
	"net"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/hashicorp/memberlist"
)

var (
	figure  = flag.String("figure", "rest", "which one")
	members = flag.Int("members", 10, "how many")
	seed    = flag.Int64("seed", 1, "of losses and latencies; memberlist draws its own")
)

const seeds = 3

// world is the network, and what it counts.
type world struct {
	mu      sync.Mutex
	random  *rand.Rand
	hosts   []*host
	loss    float64
	cut     func(a, b *host) bool
	packets int
	streams int
	bytes   int
	died    func(at, who *host)
	suspect int
}

// host is a member's process and its transport.
type host struct {
	world  *world
	index  int
	ip     net.IP
	inbox  chan *memberlist.Packet
	dialed chan net.Conn
	up     bool
	slow   time.Duration
	frozen time.Time
	list   *memberlist.Memberlist
	known  map[string]bool
}

func (h *host) name() string { return fmt.Sprintf("mesh-%d", h.index) }
func (h *host) addr() string { return net.JoinHostPort(h.ip.String(), "7946") }

func (w *world) at(addr string) *host {
	ip, _, _ := net.SplitHostPort(addr)
	v4 := net.ParseIP(ip).To4()
	index := int(v4[1])<<16 | int(v4[2])<<8 | int(v4[3])
	if index >= len(w.hosts) {
		return nil
	}
	return w.hosts[index]
}

// delay is how long something takes from one to the other; ok is false when it never arrives.
func (w *world) delay(from, to *host) (took time.Duration, ok bool) {
	w.mu.Lock()
	defer w.mu.Unlock()
	if to == nil || !to.up || !from.up || w.cut != nil && w.cut(from, to) || w.random.Float64() < w.loss {
		return 0, false
	}
	took = 200*time.Microsecond + time.Duration(w.random.Int63n(int64(800*time.Microsecond))) + to.slow
	for _, one := range []*host{from, to} { // who stands still sends and hears at its end
		took = max(took, time.Until(one.frozen))
	}
	return took, true
}

func (h *host) FinalAdvertiseAddr(string, int) (net.IP, int, error) { return h.ip, 7946, nil }
func (h *host) PacketCh() <-chan *memberlist.Packet                 { return h.inbox }
func (h *host) StreamCh() <-chan net.Conn                           { return h.dialed }
func (h *host) Shutdown() error                                     { return nil }

func (h *host) WriteTo(b []byte, addr string) (time.Time, error) {
	now := time.Now()
	h.world.mu.Lock()
	h.world.packets++
	h.world.bytes += len(b) + 28 // of IP and UDP around it
	h.world.mu.Unlock()
	to := h.world.at(addr)
	took, ok := h.world.delay(h, to)
	if !ok {
		return now, nil
	}
	copied := slices.Clone(b)
	time.AfterFunc(took, func() {
		if !to.up {
			return
		}
		select {
		case to.inbox <- &memberlist.Packet{Buf: copied, From: &net.UDPAddr{IP: h.ip, Port: 7946}, Timestamp: time.Now()}:
		default: // as a socket's buffer that is full
		}
	})
	return now, nil
}

func (h *host) DialTimeout(addr string, timeout time.Duration) (net.Conn, error) {
	to := h.world.at(addr)
	took, ok := h.world.delay(h, to)
	if !ok || took > timeout {
		time.Sleep(timeout)
		return nil, errors.New("no answer")
	}
	time.Sleep(2 * took)
	h.world.mu.Lock()
	h.world.streams++
	h.world.mu.Unlock()
	ours, theirs := net.Pipe()
	select {
	case to.dialed <- counted{theirs, h.world}:
	default:
		return nil, errors.New("full")
	}
	return counted{ours, h.world}, nil
}

// counted is a stream of which the bytes are counted that were written.
type counted struct {
	net.Conn
	world *world
}

func (c counted) Write(b []byte) (int, error) {
	c.world.mu.Lock()
	c.world.bytes += len(b)
	c.world.mu.Unlock()
	return c.Conn.Write(b)
}

func (h *host) NotifyJoin(node *memberlist.Node)   { h.note(node, true) }
func (h *host) NotifyUpdate(node *memberlist.Node) {}
func (h *host) NotifyLeave(node *memberlist.Node)  { h.note(node, false) }

func (h *host) note(node *memberlist.Node, up bool) {
	h.world.mu.Lock()
	defer h.world.mu.Unlock()
	h.known[node.Name] = up
	if !up && h.up && h.world.died != nil {
		var index int
		fmt.Sscanf(node.Name, "mesh-%d", &index)
		h.world.died(h, h.world.hosts[index])
	}
}

// Write takes memberlist's log: nowhere else does it say that it began to suspect somebody.
func (h *host) Write(line []byte) (int, error) {
	if strings.Contains(string(line), "Suspect ") {
		h.world.mu.Lock()
		h.world.suspect++
		h.world.mu.Unlock()
	}
	return len(line), nil
}

func newWorld(count int) *world {
	w := &world{random: rand.New(rand.NewSource(*seed))}
	for index := range count {
		ip := net.IPv4(10, byte(index>>16), byte(index>>8), byte(index))
		w.hosts = append(w.hosts, &host{
			world: w, index: index, ip: ip, known: map[string]bool{},
			inbox: make(chan *memberlist.Packet, 1024), dialed: make(chan net.Conn, 256),
		})
	}
	return w
}

func (h *host) start(t *testing.T) {
	config := memberlist.DefaultLANConfig()
	config.Name, config.Transport, config.Events = h.name(), h, h
	config.BindAddr, config.BindPort, config.AdvertisePort = h.ip.String(), 7946, 7946
	config.Logger = log.New(h, "", 0)
	config.EnableCompression = true // its default
	h.up = true
	list, err := memberlist.Create(config)
	if err != nil {
		t.Fatal(err)
	}
	h.list = list
}

func (h *host) join(to []*host) {
	var addrs []string
	for _, other := range to {
		if other != h {
			addrs = append(addrs, other.addr())
		}
	}
	h.list.Join(addrs)
}

func (w *world) kill(h *host) {
	w.mu.Lock()
	h.up = false
	w.mu.Unlock()
	h.list.Shutdown()
}

func (w *world) knowAll(of []*host) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, h := range of {
		for _, other := range of {
			if !h.known[other.name()] {
				return false
			}
		}
	}
	return true
}

func (w *world) untilAllKnowAll(t *testing.T, most time.Duration) float64 {
	began := time.Now()
	for !w.knowAll(w.hosts) {
		if time.Since(began) > most {
			return -1
		}
		time.Sleep(500 * time.Millisecond)
	}
	return time.Since(began).Seconds()
}

// settled has stood for a minute: all know all.
func settled(t *testing.T, count int) *world {
	w := newWorld(count)
	for _, h := range w.hosts {
		h.start(t)
	}
	for _, h := range w.hosts {
		h.join(w.hosts[:min(count, seeds)])
	}
	if w.untilAllKnowAll(t, 10*time.Minute) < 0 {
		t.Fatal("some are not known to all")
	}
	time.Sleep(time.Minute)
	return w
}

func (w *world) stop() {
	for _, h := range w.hosts {
		if h.up {
			w.kill(h)
		}
	}
	time.Sleep(5 * time.Minute) // what waits for an answer gives up
}

type result map[string]float64

func (w *world) load(seconds float64) result {
	w.mu.Lock()
	w.packets, w.streams, w.bytes = 0, 0, 0
	w.mu.Unlock()
	time.Sleep(time.Duration(seconds * float64(time.Second)))
	w.mu.Lock()
	defer w.mu.Unlock()
	share := 1 / (seconds * float64(len(w.hosts)))
	return result{
		"messages": float64(w.packets) * share, "dials": float64(w.streams) * share, "kilobytes": float64(w.bytes) * share / 1e3,
	}
}

func (w *world) wrong(seconds float64) result {
	var buried int
	w.mu.Lock()
	w.suspect = 0
	w.died = func(_, who *host) {
		if who.up {
			buried++
		}
	}
	w.mu.Unlock()
	time.Sleep(time.Duration(seconds * float64(time.Second)))
	w.mu.Lock()
	defer w.mu.Unlock()
	return result{"buried": float64(buried), "suspected": float64(w.suspect), "hours": float64(len(w.hosts)) * seconds / 3600}
}

func detection(t *testing.T, count int) result {
	w := settled(t, count)
	defer w.stop()
	kills := min(5, count/5)
	killed, times := map[*host]time.Time{}, map[*host][]float64{}
	w.died = func(_, who *host) {
		if at, ok := killed[who]; ok {
			times[who] = append(times[who], time.Since(at).Seconds())
		}
	}
	for index := range kills {
		victim := w.hosts[count-1-index]
		w.mu.Lock()
		killed[victim] = time.Now()
		w.mu.Unlock()
		w.kill(victim)
		time.Sleep(5 * time.Second)
	}
	time.Sleep(3 * time.Minute)
	w.mu.Lock()
	defer w.mu.Unlock()
	var all, first []float64
	for _, found := range times {
		all = append(all, found...)
		first = append(first, slices.Min(found))
	}
	if len(all) < kills*(count-kills) {
		t.Fatal("somebody never noticed")
	}
	slices.Sort(all)
	slices.Sort(first)
	return result{"first": first[len(first)/2], "median": all[len(all)/2], "p99": all[int(0.99*float64(len(all)-1)+0.5)]}
}

func churn(t *testing.T, count int) result {
	w := settled(t, count)
	defer w.stop()
	const seconds = 120.0
	restarts := max(1, count*2/100)
	for index := range restarts {
		victim := w.hosts[seeds+w.random.Intn(count-seeds)]
		time.AfterFunc(time.Duration(float64(index)*seconds/float64(restarts)*float64(time.Second)), func() {
			if !victim.up {
				return
			}
			w.kill(victim)
			time.Sleep(10 * time.Second)
			victim.start(t)
			victim.join(w.hosts[:seeds])
		})
	}
	out := w.load(seconds)
	out["updates"] = float64(restarts) / seconds
	time.Sleep(30 * time.Second)
	return out
}

func halves(t *testing.T, count int) result {
	w := settled(t, count)
	defer w.stop()
	left := func(h *host) bool { return h.index < count/2 }
	w.mu.Lock()
	w.cut = func(a, b *host) bool { return left(a) != left(b) }
	w.mu.Unlock()
	began := time.Now()
	apart := func() bool {
		w.mu.Lock()
		defer w.mu.Unlock()
		for _, h := range w.hosts {
			for _, other := range w.hosts {
				if h.known[other.name()] == (left(h) != left(other)) {
					return false
				}
			}
		}
		return true
	}
	for !apart() {
		if time.Since(began) > 20*time.Minute {
			t.Fatal("a half did not bury the other")
		}
		time.Sleep(500 * time.Millisecond)
	}
	buried := time.Since(began).Seconds()
	time.Sleep(5*time.Minute - time.Since(began))
	w.mu.Lock()
	w.cut = nil
	w.mu.Unlock()
	return result{"buried": buried, "healed": w.untilAllKnowAll(t, 10*time.Minute)}
}

func run(t *testing.T, name string, count int) result {
	switch name {
	case "rest":
		w := settled(t, count)
		defer w.stop()
		return w.load(60)
	case "churn":
		return churn(t, count)
	case "detection":
		return detection(t, count)
	case "loss":
		w := settled(t, count)
		defer w.stop()
		w.loss = 0.05
		return w.wrong(300)
	case "slow":
		w := settled(t, count)
		defer w.stop()
		w.hosts[count-1].slow = 2 * time.Second
		return w.wrong(300)
	case "paused":
		w := settled(t, count)
		defer w.stop()
		w.mu.Lock()
		for _, index := range w.random.Perm(count)[:count/10] {
			w.hosts[index].frozen = time.Now().Add(5 * time.Second)
		}
		w.mu.Unlock()
		return w.wrong(120)
	case "pair":
		w := settled(t, count)
		defer w.stop()
		w.mu.Lock()
		w.cut = func(a, b *host) bool { return a.index < 2 && b.index < 2 }
		w.mu.Unlock()
		return w.wrong(600)
	case "mass":
		w := newWorld(count)
		defer w.stop()
		for _, h := range w.hosts {
			h.start(t)
		}
		began := time.Now()
		for _, h := range w.hosts {
			go h.join(w.hosts[:seeds])
		}
		if w.untilAllKnowAll(t, 10*time.Minute) < 0 {
			t.Fatal("some are not known to all")
		}
		return result{"seconds": time.Since(began).Seconds()}
	case "halves":
		return halves(t, count)
	}
	t.Fatal("no such figure")
	return nil
}

func TestFigure(t *testing.T) {
	log.SetOutput(io.Discard)
	synctest.Test(t, func(t *testing.T) {
		out := run(t, *figure, *members)
		if err := json.NewEncoder(os.Stdout).Encode(out); err != nil {
			t.Fatal(err)
		}
	})
}
