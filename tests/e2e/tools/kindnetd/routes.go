// The kernel's routes to the pods of other nodes.
package main

import (
	"fmt"
	"net"
	"net/netip"

	"github.com/vishvananda/netlink"
	"golang.org/x/sys/unix"
)

// Marks the routes that are ours, so that those to nodes that are gone can be told from all others.
const protocol = netlink.RouteProtocol(86)

// replaceRoutes makes the routes those wanted: each is set, and one of ours that leads elsewhere is removed.
func replaceRoutes(wanted []route) error {
	keep := map[string]bool{}
	for _, r := range wanted {
		set := netlink.Route{Dst: ipNet(r.to), Gw: r.via.AsSlice(), Protocol: protocol}
		if err := netlink.RouteReplace(&set); err != nil {
			return fmt.Errorf("route to %s by %s: %w", r.to, r.via, err)
		}
		keep[r.to.Masked().String()] = true
	}
	filter := netlink.Route{Protocol: protocol, Table: unix.RT_TABLE_MAIN}
	have, err := netlink.RouteListFiltered(netlink.FAMILY_ALL, &filter, netlink.RT_FILTER_PROTOCOL|netlink.RT_FILTER_TABLE)
	if err != nil {
		return err
	}
	for i := range have {
		if have[i].Dst == nil || keep[have[i].Dst.String()] {
			continue
		}
		if err := netlink.RouteDel(&have[i]); err != nil {
			return fmt.Errorf("old route to %s: %w", have[i].Dst, err)
		}
	}
	return nil
}

func ipNet(prefix netip.Prefix) *net.IPNet {
	masked := prefix.Masked()
	return &net.IPNet{IP: masked.Addr().AsSlice(), Mask: net.CIDRMask(masked.Bits(), masked.Addr().BitLen())}
}
