//! Service 01, PIDs 61 to 7F.

use super::{CONTROL, CONTROL_A, CONTROL_B};
use crate::obd2::{Kind, Scaling, Signal};

#[rustfmt::skip]
layouts! {
    /// PIDs 61 to 7F.
    engine;
    0x61 { "TQ_DD" @   0  8  - Torque "torque that the driver asks for"; }
    0x62 { "TQ_ACT" @   0  8  - Torque "actual torque"; }
    0x63 { "TQ_REF" @   0 16  - NewtonMeters "reference torque"; }
    // Torque that the engine can give, in percent of the reference torque.
    0x64 {
        "TQ_MAX1" @   0  8  - Torque "most torque at idle";
        "TQ_MAX2" @   8  8  - Torque "most torque at point 2";
        "TQ_MAX3" @  16  8  - Torque "most torque at point 3";
        "TQ_MAX4" @  24  8  - Torque "most torque at point 4";
        "TQ_MAX5" @  32  8  - Torque "most torque at point 5";
    }
    // Inputs and outputs around the gearbox.
    0x65 {
        "GEAR_SUP"     @   3  1  - flag    "recommends gears";
        "GPL_SUP"      @   4  1  - flag    "reports the glow plug lamp";
        "N/G_SUP"      @   5  1  - flag    "reports neutral of a manual gearbox";
        "N/D_SUP"      @   6  1  - flag    "reports neutral of an automatic gearbox";
        "PTO_SUP"      @   7  1  - flag    "reports power take-off";
        "GEAR_RCMD"    @   8  4  3 Counter "recommended gear";
        "GPL_STAT"     @  12  1  4 flag    "glow plug lamp is on";
        "N/G_STAT"     @  13  1  5 flag    "manual gearbox is in gear, clutch engaged";
        "N/D_STAT"     @  14  1  6 flag    "automatic gearbox is in forward or reverse";
        "PTO_STAT_AUX" @  15  1  7 flag    "power take-off is active";
    }
    // Mass air flow.
    0x66 {
        "MAFB_SUP" @   6  1  - flag      "has air flow sensor B";
        "MAFA_SUP" @   7  1  - flag      "has air flow sensor A";
        "MAFA"     @   8 16  7 AirFlow32 "air flow, sensor A";
        "MAFB"     @  24 16  6 AirFlow32 "air flow, sensor B";
    }
    // Coolant temperature.
    0x67 {
        "ECT_2_SUP" @   6  1  - flag    "has coolant sensor 2";
        "ECT_1_SUP" @   7  1  - flag    "has coolant sensor 1";
        "ECT_1"     @   8  8  7 Celsius "coolant temperature, sensor 1";
        "ECT_2"     @  16  8  6 Celsius "coolant temperature, sensor 2";
    }
    // Intake air temperature.
    0x68 {
        "IAT_23_SUP" @   2  1  - flag    "has intake air sensor 3 of bank 2";
        "IAT_22_SUP" @   3  1  - flag    "has intake air sensor 2 of bank 2";
        "IAT_21_SUP" @   4  1  - flag    "has intake air sensor 1 of bank 2";
        "IAT_13_SUP" @   5  1  - flag    "has intake air sensor 3 of bank 1";
        "IAT_12_SUP" @   6  1  - flag    "has intake air sensor 2 of bank 1";
        "IAT_11_SUP" @   7  1  - flag    "has intake air sensor 1 of bank 1";
        "IAT_11"     @   8  8  7 Celsius "intake air temperature, bank 1, sensor 1";
        "IAT_12"     @  16  8  6 Celsius "intake air temperature, bank 1, sensor 2";
        "IAT_13"     @  24  8  5 Celsius "intake air temperature, bank 1, sensor 3";
        "IAT_21"     @  32  8  4 Celsius "intake air temperature, bank 2, sensor 1";
        "IAT_22"     @  40  8  3 Celsius "intake air temperature, bank 2, sensor 2";
        "IAT_23"     @  48  8  2 Celsius "intake air temperature, bank 2, sensor 3";
    }
    // Exhaust gas recirculation.
    0x69 {
        "EGR_B_ERR_SUP" @   2  1  - flag            "reports the error of recirculation B";
        "EGR_B_ACT_SUP" @   3  1  - flag            "reports the actual recirculation B";
        "EGR_B_CMD_SUP" @   4  1  - flag            "reports the commanded recirculation B";
        "EGR_A_ERR_SUP" @   5  1  - flag            "reports the error of recirculation A";
        "EGR_A_ACT_SUP" @   6  1  - flag            "reports the actual recirculation A";
        "EGR_A_CMD_SUP" @   7  1  - flag            "reports the commanded recirculation A";
        "EGR_A_CMD"     @   8  8  7 Percent         "commanded exhaust gas recirculation A";
        "EGR_A_ACT"     @  16  8  6 Percent         "actual exhaust gas recirculation A";
        "EGR_A_ERR"     @  24  8  5 PercentCentered "error of exhaust gas recirculation A";
        "EGR_B_CMD"     @  32  8  4 Percent         "commanded exhaust gas recirculation B";
        "EGR_B_ACT"     @  40  8  3 Percent         "actual exhaust gas recirculation B";
        "EGR_B_ERR"     @  48  8  2 PercentCentered "error of exhaust gas recirculation B";
    }
    // Intake air flow of Diesel engines.
    0x6A {
        "IAF_B_REL_SUP" @   4  1  - flag    "reports the position of flap B";
        "IAF_B_CMD_SUP" @   5  1  - flag    "reports the command of flap B";
        "IAF_A_REL_SUP" @   6  1  - flag    "reports the position of flap A";
        "IAF_A_CMD_SUP" @   7  1  - flag    "reports the command of flap A";
        "IAF_A_CMD"     @   8  8  7 Percent "commanded intake air flow A";
        "IAF_A_REL"     @  16  8  6 Percent "relative position of intake flap A";
        "IAF_B_CMD"     @  24  8  5 Percent "commanded intake air flow B";
        "IAF_B_REL"     @  32  8  4 Percent "relative position of intake flap B";
    }
    // Temperature of recirculated exhaust gas. The support bits say which of two scalings a byte has.
    0x6B {
        "EGRTD_WR_SUP" @   0  1  - flag        "has a wide range at bank 2, sensor 2";
        "EGRTB_WR_SUP" @   1  1  - flag        "has a wide range at bank 2, sensor 1";
        "EGRTC_WR_SUP" @   2  1  - flag        "has a wide range at bank 1, sensor 2";
        "EGRTA_WR_SUP" @   3  1  - flag        "has a wide range at bank 1, sensor 1";
        "EGRTD_SUP"    @   4  1  - flag        "has a narrow range at bank 2, sensor 2";
        "EGRTB_SUP"    @   5  1  - flag        "has a narrow range at bank 2, sensor 1";
        "EGRTC_SUP"    @   6  1  - flag        "has a narrow range at bank 1, sensor 2";
        "EGRTA_SUP"    @   7  1  - flag        "has a narrow range at bank 1, sensor 1";
        "EGRTA"        @   8  8  7 Celsius     "recirculated gas temperature, bank 1, sensor 1";
        "EGRTA_WIDE"   @   8  8  3 CelsiusWide "recirculated gas temperature, bank 1, sensor 1, wide range";
        "EGRTC"        @  16  8  6 Celsius     "recirculated gas temperature, bank 1, sensor 2";
        "EGRTC_WIDE"   @  16  8  2 CelsiusWide "recirculated gas temperature, bank 1, sensor 2, wide range";
        "EGRTB"        @  24  8  5 Celsius     "recirculated gas temperature, bank 2, sensor 1";
        "EGRTB_WIDE"   @  24  8  1 CelsiusWide "recirculated gas temperature, bank 2, sensor 1, wide range";
        "EGRTD"        @  32  8  4 Celsius     "recirculated gas temperature, bank 2, sensor 2";
        "EGRTD_WIDE"   @  32  8  0 CelsiusWide "recirculated gas temperature, bank 2, sensor 2, wide range";
    }
    // Throttle.
    0x6C {
        "RTP_B_SUP"  @   4  1  - flag    "reports the position of throttle B";
        "CTAC_B_SUP" @   5  1  - flag    "reports the command of throttle B";
        "RTP_A_SUP"  @   6  1  - flag    "reports the position of throttle A";
        "CTAC_A_SUP" @   7  1  - flag    "reports the command of throttle A";
        "TAC_A_CMD"  @   8  8  7 Percent "commanded throttle A";
        "TP_A_REL"   @  16  8  6 Percent "relative position of throttle A";
        "TAC_B_CMD"  @  24  8  5 Percent "commanded throttle B";
        "TP_B_REL"   @  32  8  4 Percent "relative position of throttle B";
    }
    // Fuel rail.
    0x6D {
        "FRT_B_SUP"     @   2  1  - flag    "reports the temperature of rail B";
        "FRP_B_SUP"     @   3  1  - flag    "reports the pressure of rail B";
        "FRP_B_CMD_SUP" @   4  1  - flag    "reports the commanded pressure of rail B";
        "FRT_A_SUP"     @   5  1  - flag    "reports the temperature of rail A";
        "FRP_A_SUP"     @   6  1  - flag    "reports the pressure of rail A";
        "FRP_A_CMD_SUP" @   7  1  - flag    "reports the commanded pressure of rail A";
        "FRP_A_CMD"     @   8 16  7 Uas1B   "commanded fuel rail pressure A";
        "FRP_A"         @  24 16  6 Uas1B   "fuel rail pressure A";
        "FRT_A"         @  40  8  5 Celsius "fuel rail temperature A";
        "FRP_B_CMD"     @  48 16  4 Uas1B   "commanded fuel rail pressure B";
        "FRP_B"         @  64 16  3 Uas1B   "fuel rail pressure B";
        "FRT_B"         @  80  8  2 Celsius "fuel rail temperature B";
    }
    // Injection control.
    0x6E {
        "ICP_B_SUP"     @   4  1  - flag  "reports injection pressure B";
        "ICP_B_CMD_SUP" @   5  1  - flag  "reports commanded injection pressure B";
        "ICP_A_SUP"     @   6  1  - flag  "reports injection pressure A";
        "ICP_A_CMD_SUP" @   7  1  - flag  "reports commanded injection pressure A";
        "ICP_A_CMD"     @   8 16  7 Uas1B "commanded injection pressure A";
        "ICP_A"         @  24 16  6 Uas1B "injection pressure A";
        "ICP_B_CMD"     @  40 16  5 Uas1B "commanded injection pressure B";
        "ICP_B"         @  56 16  4 Uas1B "injection pressure B";
    }
    // Inlet of the turbocharger's compressor. The support bits say which of two scalings a byte has.
    0x6F {
        "TCB_CINP_WR_SUP" @   4  1  - flag            "has a wide range at B";
        "TCA_CINP_WR_SUP" @   5  1  - flag            "has a wide range at A";
        "TCB_CINP_SUP"    @   6  1  - flag            "has a narrow range at B";
        "TCA_CINP_SUP"    @   7  1  - flag            "has a narrow range at A";
        "TCA_CINP"        @   8  8  7 Kilopascal      "compressor inlet pressure A";
        "TCA_CINP_WR"     @   8  8  5 EightKilopascal "compressor inlet pressure A, wide range";
        "TCB_CINP"        @  16  8  6 Kilopascal      "compressor inlet pressure B";
        "TCB_CINP_WR"     @  16  8  4 EightKilopascal "compressor inlet pressure B, wide range";
    }
    // Boost pressure.
    0x70 {
        "BP_B_SUP"     @   2  1  - flag         "reports the control of B";
        "BP_B_ACT_SUP" @   3  1  - flag         "reports the pressure of B";
        "BP_B_CMD_SUP" @   4  1  - flag         "reports the commanded pressure of B";
        "BP_A_SUP"     @   5  1  - flag         "reports the control of A";
        "BP_A_ACT_SUP" @   6  1  - flag         "reports the pressure of A";
        "BP_A_CMD_SUP" @   7  1  - flag         "reports the commanded pressure of A";
        "BP_A_CMD"     @   8 16  7 Kilopascal32 "commanded boost pressure A";
        "BP_A_ACT"     @  24 16  6 Kilopascal32 "boost pressure A";
        "BP_B_CMD"     @  40 16  4 Kilopascal32 "commanded boost pressure B";
        "BP_B_ACT"     @  56 16  3 Kilopascal32 "boost pressure B";
        "BP_B"         @  76  2  2 [CONTROL_B]  "control of boost pressure B";
        "BP_A"         @  78  2  5 [CONTROL_A]  "control of boost pressure A";
    }
    // Variable geometry of turbochargers.
    0x71 {
        "VGT_B_SUP"     @   2  1  - flag      "reports the control of B";
        "VGT_B_ACT_SUP" @   3  1  - flag      "reports the position of B";
        "VGT_B_CMD_SUP" @   4  1  - flag      "reports the commanded position of B";
        "VGT_A_SUP"     @   5  1  - flag      "reports the control of A";
        "VGT_A_ACT_SUP" @   6  1  - flag      "reports the position of A";
        "VGT_A_CMD_SUP" @   7  1  - flag      "reports the commanded position of A";
        "VGT_A_CMD"     @   8  8  7 Percent   "commanded position of turbocharger A";
        "VGT_A_ACT"     @  16  8  6 Percent   "position of turbocharger A";
        "VGT_B_CMD"     @  24  8  4 Percent   "commanded position of turbocharger B";
        "VGT_B_ACT"     @  32  8  3 Percent   "position of turbocharger B";
        "VGT_B"         @  44  2  2 [CONTROL] "control of turbocharger B";
        "VGT_A"         @  46  2  5 [CONTROL] "control of turbocharger A";
    }
    // Wastegate.
    0x72 {
        "WG_B_ACT_SUP" @   4  1  - flag    "reports the position of B";
        "WG_B_CMD_SUP" @   5  1  - flag    "reports the commanded position of B";
        "WG_A_ACT_SUP" @   6  1  - flag    "reports the position of A";
        "WG_A_CMD_SUP" @   7  1  - flag    "reports the commanded position of A";
        "WG_A_CMD"     @   8  8  7 Percent "commanded position of wastegate A";
        "WG_A_ACT"     @  16  8  6 Percent "position of wastegate A";
        "WG_B_CMD"     @  24  8  5 Percent "commanded position of wastegate B";
        "WG_B_ACT"     @  32  8  4 Percent "position of wastegate B";
    }
    // Exhaust pressure.
    0x73 {
        "EP_21_SUP" @   6  1  - flag  "has exhaust pressure, bank 2, sensor 1";
        "EP_11_SUP" @   7  1  - flag  "has exhaust pressure, bank 1, sensor 1";
        "EP_11"     @   8 16  7 Uas17 "exhaust pressure, bank 1, sensor 1";
        "EP_21"     @  24 16  6 Uas17 "exhaust pressure, bank 2, sensor 1";
    }
    // Speed of turbochargers.
    0x74 {
        "TCB_RPM_SUP" @   6  1  - flag   "has turbocharger B";
        "TCA_RPM_SUP" @   7  1  - flag   "has turbocharger A";
        "TCA_RPM"     @   8 16  7 TenRpm "speed of turbocharger A";
        "TCB_RPM"     @  24 16  6 TenRpm "speed of turbocharger B";
    }
    // Temperatures of turbocharger A.
    0x75 {
        "TCA_TOUTT_SUP" @   4  1  - flag    "reports the turbine's outlet";
        "TCA_TINT_SUP"  @   5  1  - flag    "reports the turbine's inlet";
        "TCA_COUTT_SUP" @   6  1  - flag    "reports the compressor's outlet";
        "TCA_CINT_SUP"  @   7  1  - flag    "reports the compressor's inlet";
        "TCA_CINT"      @   8  8  7 Celsius "compressor inlet temperature";
        "TCA_COUTT"     @  16  8  6 Celsius "compressor outlet temperature";
        "TCA_TINT"      @  24 16  5 Uas16   "turbine inlet temperature";
        "TCA_TOUTT"     @  40 16  4 Uas16   "turbine outlet temperature";
    }
    // Temperatures of turbocharger B.
    0x76 {
        "TCB_TOUTT_SUP" @   4  1  - flag    "reports the turbine's outlet";
        "TCB_TINT_SUP"  @   5  1  - flag    "reports the turbine's inlet";
        "TCB_COUTT_SUP" @   6  1  - flag    "reports the compressor's outlet";
        "TCB_CINT_SUP"  @   7  1  - flag    "reports the compressor's inlet";
        "TCB_CINT"      @   8  8  7 Celsius "compressor inlet temperature";
        "TCB_COUTT"     @  16  8  6 Celsius "compressor outlet temperature";
        "TCB_TINT"      @  24 16  5 Uas16   "turbine inlet temperature";
        "TCB_TOUTT"     @  40 16  4 Uas16   "turbine outlet temperature";
    }
    // Temperature of charge air coolers.
    0x77 {
        "CACT_22_SUP" @   4  1  - flag    "has sensor 2 of bank 2";
        "CACT_21_SUP" @   5  1  - flag    "has sensor 1 of bank 2";
        "CACT_12_SUP" @   6  1  - flag    "has sensor 2 of bank 1";
        "CACT_11_SUP" @   7  1  - flag    "has sensor 1 of bank 1";
        "CACT_11"     @   8  8  7 Celsius "charge air temperature, bank 1, sensor 1";
        "CACT_12"     @  16  8  6 Celsius "charge air temperature, bank 1, sensor 2";
        "CACT_21"     @  24  8  5 Celsius "charge air temperature, bank 2, sensor 1";
        "CACT_22"     @  32  8  4 Celsius "charge air temperature, bank 2, sensor 2";
    }
    // Exhaust gas temperature, bank 1.
    0x78 {
        "EGT14_SUP" @   4  1  - flag  "has sensor 4 of bank 1";
        "EGT13_SUP" @   5  1  - flag  "has sensor 3 of bank 1";
        "EGT12_SUP" @   6  1  - flag  "has sensor 2 of bank 1";
        "EGT11_SUP" @   7  1  - flag  "has sensor 1 of bank 1";
        "EGT11"     @   8 16  7 Uas16 "exhaust gas temperature, bank 1, sensor 1";
        "EGT12"     @  24 16  6 Uas16 "exhaust gas temperature, bank 1, sensor 2";
        "EGT13"     @  40 16  5 Uas16 "exhaust gas temperature, bank 1, sensor 3";
        "EGT14"     @  56 16  4 Uas16 "exhaust gas temperature, bank 1, sensor 4";
    }
    // Exhaust gas temperature, bank 2.
    0x79 {
        "EGT24_SUP" @   4  1  - flag  "has sensor 4 of bank 2";
        "EGT23_SUP" @   5  1  - flag  "has sensor 3 of bank 2";
        "EGT22_SUP" @   6  1  - flag  "has sensor 2 of bank 2";
        "EGT21_SUP" @   7  1  - flag  "has sensor 1 of bank 2";
        "EGT21"     @   8 16  7 Uas16 "exhaust gas temperature, bank 2, sensor 1";
        "EGT22"     @  24 16  6 Uas16 "exhaust gas temperature, bank 2, sensor 2";
        "EGT23"     @  40 16  5 Uas16 "exhaust gas temperature, bank 2, sensor 3";
        "EGT24"     @  56 16  4 Uas16 "exhaust gas temperature, bank 2, sensor 4";
    }
    // Pressures at the particulate filter of bank 1.
    0x7A {
        "PF1_OUTP_SUP" @   5  1  - flag  "reports the outlet";
        "PF1_INP_SUP"  @   6  1  - flag  "reports the inlet";
        "PF1_DP_SUP"   @   7  1  - flag  "reports the difference";
        "PF1_DP"       @   8 16  7 UasFC "pressure difference over the particulate filter";
        "PF1_INP"      @  24 16  6 Uas17 "particulate filter inlet pressure";
        "PF1_OUTP"     @  40 16  5 Uas17 "particulate filter outlet pressure";
    }
    // Pressures at the particulate filter of bank 2.
    0x7B {
        "PF2_OUTP_SUP" @   5  1  - flag  "reports the outlet";
        "PF2_INP_SUP"  @   6  1  - flag  "reports the inlet";
        "PF2_DP_SUP"   @   7  1  - flag  "reports the difference";
        "PF2_DP"       @   8 16  7 UasFC "pressure difference over the particulate filter";
        "PF2_INP"      @  24 16  6 Uas17 "particulate filter inlet pressure";
        "PF2_OUTP"     @  40 16  5 Uas17 "particulate filter outlet pressure";
    }
    // Temperatures at the particulate filters.
    0x7C {
        "PF2_OUTT_SUP" @   4  1  - flag  "reports the outlet of bank 2";
        "PF2_INT_SUP"  @   5  1  - flag  "reports the inlet of bank 2";
        "PF1_OUTT_SUP" @   6  1  - flag  "reports the outlet of bank 1";
        "PF1_INT_SUP"  @   7  1  - flag  "reports the inlet of bank 1";
        "PF1_INT"      @   8 16  7 Uas16 "particulate filter inlet temperature, bank 1";
        "PF1_OUTT"     @  24 16  6 Uas16 "particulate filter outlet temperature, bank 1";
        "PF2_INT"      @  40 16  5 Uas16 "particulate filter inlet temperature, bank 2";
        "PF2_OUTT"     @  56 16  4 Uas16 "particulate filter outlet temperature, bank 2";
    }
    // Not-to-exceed control area for NOx.
    0x7D {
        "NNTE_DEF" @   4  1  - flag "deficiency in the area";
        "NNTE_CAA" @   5  1  - flag "in the carve-out area";
        "NNTE_OUT" @   6  1  - flag "outside the control area";
        "NNTE_IN"  @   7  1  - flag "inside the control area";
    }
    // Not-to-exceed control area for particulates.
    0x7E {
        "PNTE_DEF" @   4  1  - flag "deficiency in the area";
        "PNTE_CAA" @   5  1  - flag "in the carve-out area";
        "PNTE_OUT" @   6  1  - flag "outside the control area";
        "PNTE_IN"  @   7  1  - flag "inside the control area";
    }
    // How long the engine has run.
    0x7F {
        "PTO_TIME_SUP"  @   5  1  - flag  "counts power take-off";
        "IDLE_TIME_SUP" @   6  1  - flag  "counts idling";
        "RUN_TIME_SUP"  @   7  1  - flag  "counts running";
        "RUN_TIME"      @   8 32  7 Uas12 "total time running";
        "IDLE_TIME"     @  40 32  6 Uas12 "total time idling";
        "PTO_TIME"      @  72 32  5 Uas12 "total time with power take-off";
    }
}
