// The configuration of the CNI plugins, which kind's base image has: ptp, host-local, portmap.
package main

import (
	"bytes"
	"encoding/json"
	"log"
	"net/netip"
	"os"
)

const (
	conflistPath = "/etc/cni/net.d/10-kindnet.conflist"
	// Below /run, so that a restarted node begins with no address taken.
	addressesPath = "/run/cni-ipam-state"
	mtu           = 1500
)

type object = map[string]any

// buildConflist returns the configuration that gives each pod one address of every range, and a default route in its family.
func buildConflist(ranges []netip.Prefix) ([]byte, error) {
	var subnets [][]object
	var routes []object
	for _, prefix := range ranges {
		subnets = append(subnets, []object{{"subnet": prefix.String()}})
		everything := "::/0"
		if prefix.Addr().Is4() {
			everything = "0.0.0.0/0"
		}
		routes = append(routes, object{"dst": everything})
	}
	ipam := object{"type": "host-local", "dataDir": addressesPath, "ranges": subnets, "routes": routes}
	return json.Marshal(object{
		"cniVersion": "0.3.1",
		"name":       "kindnet",
		"plugins": []object{
			{"type": "ptp", "ipMasq": false, "mtu": mtu, "ipam": ipam},
			{"type": "portmap", "capabilities": object{"portMappings": true}},
		},
	})
}

// writeConflist writes the configuration when it is another one; the container runtime may read it at any moment.
func writeConflist(ranges []netip.Prefix) error {
	want, err := buildConflist(ranges)
	if err != nil {
		return err
	}
	if have, err := os.ReadFile(conflistPath); err == nil && bytes.Equal(have, want) {
		return nil
	}
	partial := conflistPath + ".partial"
	if err := os.WriteFile(partial, want, 0o644); err != nil {
		return err
	}
	if err := os.Rename(partial, conflistPath); err != nil {
		return err
	}
	log.Printf("wrote %s for %v", conflistPath, ranges)
	return nil
}
