// What one node needs, decided from all nodes alone.
package main

import (
	"fmt"
	"net/netip"

	corev1 "k8s.io/api/core/v1"
)

// A route leads to the pods of another node.
type route struct {
	to  netip.Prefix
	via netip.Addr
}

// A plan holds the ranges of this node's pods, one for each family of addresses, and the routes to those of all others.
type plan struct {
	ranges []netip.Prefix
	routes []route
}

// planFor returns the plan of the node with the address `host`. Nodes that have no range yet are left out: they come again.
func planFor(host string, nodes []*corev1.Node) (plan, error) {
	self, err := netip.ParseAddr(host)
	if err != nil {
		return plan{}, err
	}
	var made plan
	for _, node := range nodes {
		addresses, ranges, err := parseNode(node)
		if err != nil {
			return plan{}, fmt.Errorf("node %s: %w", node.Name, err)
		}
		if contains(addresses, self) {
			made.ranges = ranges
			continue
		}
		for _, to := range ranges {
			for _, via := range addresses {
				if via.Is4() == to.Addr().Is4() {
					made.routes = append(made.routes, route{to, via})
					break
				}
			}
		}
	}
	if len(made.ranges) == 0 {
		return plan{}, fmt.Errorf("no range for the pods of %s yet", host)
	}
	return made, nil
}

func parseNode(node *corev1.Node) (addresses []netip.Addr, ranges []netip.Prefix, err error) {
	for _, listed := range node.Status.Addresses {
		if listed.Type != corev1.NodeInternalIP {
			continue
		}
		address, err := netip.ParseAddr(listed.Address)
		if err != nil {
			return nil, nil, err
		}
		addresses = append(addresses, address)
	}
	for _, text := range node.Spec.PodCIDRs {
		prefix, err := netip.ParsePrefix(text)
		if err != nil {
			return nil, nil, err
		}
		ranges = append(ranges, prefix)
	}
	return addresses, ranges, nil
}

func contains(addresses []netip.Addr, wanted netip.Addr) bool {
	for _, address := range addresses {
		if address == wanted {
			return true
		}
	}
	return false
}
