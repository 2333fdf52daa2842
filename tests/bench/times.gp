# SPDX-License-Identifier: Apache-2.0 OR BSD-3-Clause
#
# One section's picture: ours as times the peer's. A point is the median, the line through it goes from the least to
# the most, and a stroke is the goal; beyond the grey line at 1 ours is more. Variables: data, title, from tests/bench/page.

set datafile separator "\t"
set datafile missing "-"
stats data using 0 nooutput
n = STATS_records
set title title
set xrange [(lowest < 0.5 ? lowest : 0.5) * 0.8 : (highest > 1.5 ? highest : 1.5) * 1.25]
set logscale x 2
set yrange [n - 0.5 : -0.5]
set grid xtics lc rgb "#dddddd" lt 1
set key outside bottom center horizontal samplen 1
set termoption noenhanced
set lmargin 44
set xtics ("1/64" 0.015625, "1/32" 0.03125, "1/16" 0.0625, "1/8" 0.125, "1/4" 0.25, "1/2" 0.5, \
	"0.7" 0.7, "1" 1, "1.4" 1.4, "2" 2, "4" 4, "8" 8, "16" 16)
set arrow from 1, graph 0 to 1, graph 1 nohead lc rgb "#888888" lw 2 back
plot data using 4:0:5:6:ytic(1) with xerrorbars pt 7 ps 0.6 lc rgb "#1f5fa8" notitle, \
	data using 4:0 with points pt 7 ps 0.6 lc rgb "#1f5fa8" title "ours as times the peer's", \
	data using 7:0:(0):(0.35) with vectors nohead lw 2 lc rgb "#c0392b" notitle, \
	data using 7:0:(0):(-0.35) with vectors nohead lw 2 lc rgb "#c0392b" title "goal"
