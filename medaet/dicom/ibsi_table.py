"""The catalogue of features as text: family, then tag, code, dimension and meaning; `medaet.dicom.ibsi` reads it."""

TABLE = """
[morphology]
morph_volume RNU0 mm3 Volume of Mesh
morph_vol_approx YEKZ mm3 Volume from Voxel Summation
morph_area_mesh C0JK mm2 Surface Area of Mesh
morph_av 2PR5 /mm Surface to Volume Ratio
morph_comp_1 SKGS 1 Compactness 1
morph_comp_2 BQWJ 1 Compactness 2
morph_sph_dispr KRCK 1 Spherical Disproportion
morph_sphericity QCFX 1 Sphericity
morph_asphericity 25C7 1 Asphericity
morph_com KLMA mm Centre of Mass Shift
morph_diam L0JK mm Maximum 3D Diameter of a Mesh
morph_pca_maj_axis TDIC mm Major Axis in 3D Length
morph_pca_min_axis P9VJ mm Minor Axis in 3D Length
morph_pca_least_axis 7J51 mm Least Axis in 3D Length
morph_pca_elongation Q3CK 1 Elongation
morph_pca_flatness N17B 1 Flatness
morph_vol_dens_aabb PBX1 1 Volume Density in Frame of Reference Axis Aligned Bounding Box
morph_area_dens_aabb R59B 1 Area Density in Frame of Reference Axis Aligned Bounding Box
morph_vol_dens_ombb ZH1A 1 Volume Density in Oriented Minimum Bounding Box
morph_area_dens_ombb IQYR 1 Area Density in Oriented Minimum Bounding Box
morph_vol_dens_aee 6BDE 1 Volume Density in Approximate Enclosing Ellipsoid
morph_area_dens_aee RDD2 1 Area Density in Approximate Enclosing Ellipsoid
morph_vol_dens_conv_hull R3ER 1 Volume Density in Convex Hull
morph_area_dens_conv_hull 7T7F 1 Area Density in Convex Hull
morph_integ_int 99N0 value.mm3 Integrated Intensity
morph_moran_i N365 1 Moran's I Index
morph_geary_c NPT7 1 Geary's C Measure
[local]
loc_peak_loc VJGA value Local Intensity Peak
loc_peak_glob 0F91 value Global Intensity Peak
[statistics]
stat_mean Q4LE value Mean Intensity
stat_var ECT3 value2 Intensity Variance
stat_skew KE2A 1 Intensity Skewness
stat_kurt IPH6 1 (Excess) Intensity Kurtosis
stat_median Y12H value Median Intensity
stat_min 1GSF value Minimum Intensity
stat_p10 QG58 value 10th Intensity Percentile
stat_p90 8DWT value 90th Intensity Percentile
stat_max 84IY value Maximum Intensity
stat_iqr SALO value Intensity Interquartile Range
stat_range 2OJQ value Intensity Range
stat_mad 4FUA value Intensity-based Mean Absolute Deviation
stat_rmad 1128 value Intensity-based Robust Mean Absolute Deviation
stat_medad N72L value Intensity-based Median Absolute Deviation
stat_cov 7TET 1 Intensity-based Coefficient of Variation
stat_qcod 9S40 1 Intensity-based Quartile Coefficient of Dispersion
stat_energy N8CA value2 Intensity-based Energy
stat_rms 5ZWQ value Root Mean Square Intensity
[histogram]
ih_mean X6K6 1 Intensity Histogram Mean
ih_var CH89 1 Intensity Histogram Variance
ih_skew 88K1 1 Intensity Histogram Skewness
ih_kurt C3I7 1 Intensity Histogram Kurtosis
ih_median WIFQ 1 Intensity Histogram Median
ih_min 1PR8 1 Intensity Histogram Minimum Gray Level
ih_p10 GPMT 1 Intensity Histogram 10th Percentile
ih_p90 OZ0C 1 Intensity Histogram 90th Percentile
ih_max 3NCY 1 Intensity Histogram Maximum Gray Level
ih_mode AMMC 1 Intensity Histogram Mode
ih_iqr WR0O 1 Intensity Histogram Interquartile Range
ih_range 5Z3W 1 Intensity Histogram Range
ih_mad D2ZX 1 Intensity Histogram Mean Absolute Deviation
ih_rmad WRZB 1 Intensity Histogram Robust Mean Absolute Deviation
ih_medad 4RNL 1 Intensity Histogram Median Absolute Deviation
ih_cov CWYJ 1 Intensity Histogram Coefficient of Variation
ih_qcod SLWD 1 Intensity Histogram Quartile Coefficient of Dispersion
ih_entropy TLU2 1 Intensity Histogram Entropy
ih_uniformity BJ5W 1 Intensity Histogram Uniformity
ih_max_grad 12CE 1 Intensity Histogram Maximum Gradient
ih_max_grad_g 8E6O 1 Intensity Histogram Maximum Gradient Gray Level
ih_min_grad VQB3 1 Intensity Histogram Minimum Gradient
ih_min_grad_g RHQZ 1 Intensity Histogram Minimum Gradient Gray Level
[ivh]
ivh_v10 BC2M-10 1 Volume Fraction at 10 % Intensity
ivh_v90 BC2M-90 1 Volume Fraction at 90 % Intensity
ivh_i10 GBPN-10 bin Intensity at 10 % Volume
ivh_i90 GBPN-90 bin Intensity at 90 % Volume
ivh_diff_v10_v90 DDTU 1 Volume Fraction Difference between 10 % and 90 % Intensity
ivh_diff_i10_i90 CNV2 bin Intensity Difference between 10 % and 90 % Volume
ivh_auc 9CMM 1 Area under the IVH Curve
[glcm]
cm_joint_max GYBY 1 Joint Maximum of GLCM
cm_joint_avg 60VM 1 Joint Average of GLCM
cm_joint_var UR99 1 Joint Variance of GLCM
cm_joint_entr TU9B 1 Joint Entropy of GLCM
cm_diff_avg TF7R 1 Difference Average of GLCM
cm_diff_var D3YU 1 Difference Variance of GLCM
cm_diff_entr NTRS 1 Difference Entropy of GLCM
cm_sum_avg ZGXS 1 Sum Average of GLCM
cm_sum_var OEEB 1 Sum Variance of GLCM
cm_sum_entr P6QZ 1 Sum Entropy of GLCM
cm_energy 8ZQL 1 Angular Second Moment of GLCM
cm_contrast ACUI 1 Contrast of GLCM
cm_dissimilarity 8S9J 1 Dissimilarity of GLCM
cm_inv_diff IB1Z 1 Inverse Difference of GLCM
cm_inv_diff_norm NDRX 1 Normalized Inverse Difference of GLCM
cm_inv_diff_mom WF0Z 1 Inverse Difference Moment of GLCM
cm_inv_diff_mom_norm 1QCO 1 Normalized Inverse Difference Moment of GLCM
cm_inv_var E8JP 1 Inverse Variance of GLCM
cm_corr NI2N 1 Correlation of GLCM
cm_auto_corr QWB0 1 Autocorrelation of GLCM
cm_clust_tend DG8W 1 Cluster Tendency of GLCM
cm_clust_shade 7NFM 1 Cluster Shade of GLCM
cm_clust_prom AE86 1 Cluster Prominence of GLCM
cm_info_corr1 R8DG 1 First Measure of Information Correlation of GLCM
cm_info_corr2 JN9H 1 Second Measure of Information Correlation of GLCM
[glrlm]
rlm_sre 22OV 1 Short Runs Emphasis
rlm_lre W4KF 1 Long Runs Emphasis
rlm_lgre V3SW 1 Low Gray Level Run Emphasis
rlm_hgre G3QZ 1 High Gray Level Run Emphasis
rlm_srlge HTZT 1 Short Run Low Gray Level Emphasis
rlm_srhge GD3A 1 Short Run High Gray Level Emphasis
rlm_lrlge IVPO 1 Long Run Low Gray Level Emphasis
rlm_lrhge 3KUM 1 Long Run High Gray Level Emphasis
rlm_glnu R5YN 1 Gray Level Nonuniformity in Runs
rlm_glnu_norm OVBL 1 Normalized Gray Level Nonuniformity in Runs
rlm_rlnu W92Y 1 Run Length Nonuniformity
rlm_rlnu_norm IC23 1 Normalized Run Length Nonuniformity
rlm_r_perc 9ZK5 1 Run Percentage
rlm_gl_var 8CE5 1 Gray Level Variance in Runs
rlm_rl_var SXLW 1 Run Length Variance
rlm_rl_entr HJ9O 1 Run Entropy
[glszm]
szm_sze 5QRC 1 Small Zone Emphasis
szm_lze 48P8 1 Large Zone Emphasis
szm_lgze XMSY 1 Low Gray Level Zone Emphasis
szm_hgze 5GN9 1 High Gray Level Zone Emphasis
szm_szlge 5RAI 1 Small Zone Low Gray Level Emphasis
szm_szhge HW1V 1 Small Zone High Gray Level Emphasis
szm_lzlge YH51 1 Large Zone Low Gray Level Emphasis
szm_lzhge J17V 1 Large Zone High Gray Level Emphasis
szm_glnu JNSA 1 Gray Level Nonuniformity of Size Zone Counts
szm_glnu_norm Y1RO 1 Normalized Gray Level Nonuniformity of Size Zone Counts
szm_zsnu 4JP3 1 Zone Size Nonuniformity
szm_zsnu_norm VB3A 1 Normalized Zone Size Nonuniformity
szm_z_perc P30P 1 Size Zone Percentage
szm_gl_var BYLV 1 Gray Level Variance in Size Zones
szm_zs_var 3NSA 1 Zone Size Variance
szm_zs_entr GU8N 1 Zone Size Entropy
[gldzm]
dzm_sde 0GBI 1 Small Distance Emphasis
dzm_lde MB4I 1 Large Distance Emphasis
dzm_lgze S1RA 1 Low Grey Level Zone Emphasis
dzm_hgze K26C 1 High Grey Level Zone Emphasis
dzm_sdlge RUVG 1 Small Distance Low Grey Level Emphasis
dzm_sdhge DKNJ 1 Small Distance High Grey Level Emphasis
dzm_ldlge A7WM 1 Large Distance Low Grey Level Emphasis
dzm_ldhge KLTH 1 Large Distance High Grey Level Emphasis
dzm_glnu VFT7 1 Grey Level Non-uniformity of Distance Zone Counts
dzm_glnu_norm 7HP3 1 Normalized Grey Level Non-uniformity of Distance Zone Counts
dzm_zdnu V294 1 Zone Distance Non-uniformity
dzm_zdnu_norm IATH 1 Normalized Zone Distance Non-uniformity
dzm_z_perc VIWW 1 Distance Zone Percentage
dzm_gl_var QK93 1 Grey Level Variance in Distance Zones
dzm_zd_var 7WT1 1 Zone Distance Variance
dzm_zd_entr GBDU 1 Zone Distance Entropy
[ngtdm]
ngt_coarseness QCDE 1 Coarseness of NGTDM
ngt_contrast 65HE 1 Contrast of NGTDM
ngt_busyness NQ30 1 Busyness of NGTDM
ngt_complexity HDEZ 1 Complexity of NGTDM
ngt_strength 1X9X 1 Strength of NGTDM
[ngldm]
ngl_lde SODN 1 Low dependence emphasis
ngl_hde IMOQ 1 High dependence emphasis
ngl_lgce TL9H 1 Low grey level count emphasis
ngl_hgce OAE7 1 High grey level count emphasis
ngl_ldlge EQ3F 1 Low dependence low grey level emphasis
ngl_ldhge JA6D 1 Low dependence high grey level emphasis
ngl_hdlge NBZI 1 High dependence low grey level emphasis
ngl_hdhge 9QMG 1 High dependence high grey level emphasis
ngl_glnu FP8K 1 Grey level non-uniformity of NGLDM
ngl_glnu_norm 5SPA 1 Normalized grey level non-uniformity of NGLDM
ngl_dcnu Z87G 1 Dependence count non-uniformity
ngl_dcnu_norm OKJI 1 Dependence count non-uniformity normalized
ngl_dc_perc 6XV8 1 Dependence count percentage
ngl_gl_var 1PFV 1 Grey level variance of NGLDM
ngl_dc_var DNX2 1 Dependence count variance
ngl_dc_entr FCBV 1 Dependence count entropy
ngl_dc_energy CAS9 1 Dependence count energy
"""
