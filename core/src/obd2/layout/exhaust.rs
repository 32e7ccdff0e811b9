//! Service 01, PIDs 81 to 9F.

use super::{CHARGING, INDUCEMENT};
use crate::obd2::{Kind, Scaling, Signal};

#[rustfmt::skip]
layouts! {
    /// PIDs 81 to 9F.
    exhaust;
    // NOx concentration.
    0x83 {
        "NOX22_RDY" @   0  1  - flag  "sensor 2 of bank 2 is not ready";
        "NOX21_RDY" @   1  1  - flag  "sensor 1 of bank 2 is not ready";
        "NOX12_RDY" @   2  1  - flag  "sensor 2 of bank 1 is not ready";
        "NOX11_RDY" @   3  1  - flag  "sensor 1 of bank 1 is not ready";
        "NOX22_SUP" @   4  1  - flag  "has sensor 2 of bank 2";
        "NOX21_SUP" @   5  1  - flag  "has sensor 1 of bank 2";
        "NOX12_SUP" @   6  1  - flag  "has sensor 2 of bank 1";
        "NOX11_SUP" @   7  1  - flag  "has sensor 1 of bank 1";
        "NOX11"     @   8 16  7 Uas40 "NOx concentration, bank 1, sensor 1";
        "NOX12"     @  24 16  6 Uas40 "NOx concentration, bank 1, sensor 2";
        "NOX21"     @  40 16  5 Uas40 "NOx concentration, bank 2, sensor 1";
        "NOX22"     @  56 16  4 Uas40 "NOx concentration, bank 2, sensor 2";
    }
    0x84 { "MST" @   0  8  - Celsius "manifold surface temperature"; }
    // Reagent against NOx.
    0x85 {
        "NWI_TIME_SUP"  @   4  1  - flag        "counts the warning";
        "REAG_LVL_SUP"  @   5  1  - flag        "reports the tank";
        "REAG_DEMD_SUP" @   6  1  - flag        "reports the demand";
        "REAG_RATE_SUP" @   7  1  - flag        "reports the consumption";
        "REAG_RATE"     @   8 16  7 ReagentRate "average reagent consumption";
        "REAG_DEMD"     @  24 16  6 ReagentRate "average reagent demand";
        "REAG_LVL"      @  40  8  5 Percent     "reagent tank level";
        "NWI_TIME"      @  48 32  4 Uas12       "time with the NOx warning active";
    }
    // Particulate matter.
    0x86 {
        "PM21_SUP" @   6  1  - flag         "has particulate matter, bank 2, sensor 1";
        "PM11_SUP" @   7  1  - flag         "has particulate matter, bank 1, sensor 1";
        "PM11"     @   8 16  7 Particulates "particulate matter, bank 1, sensor 1";
        "PM21"     @  24 16  6 Particulates "particulate matter, bank 2, sensor 1";
    }
    // Intake manifold pressure.
    0x87 {
        "MAP_B_SUP" @   6  1  - flag         "has sensor B";
        "MAP_A_SUP" @   7  1  - flag         "has sensor A";
        "MAP_A"     @   8 16  7 Kilopascal32 "intake manifold pressure A";
        "MAP_B"     @  24 16  6 Kilopascal32 "intake manifold pressure B";
    }
    // Inducement of the catalytic reduction of NOx.
    0x88 {
        "SCR_IND_SYS_ACTIVE"                  @   0  1  - flag  "inducement is active";
        "SCR_IND_SYS_NOx_LEVEL"               @   4  1  - flag  "now: NOx too high";
        "SCR_IND_SYS_CONSUMP_DEVIATION"       @   5  1  - flag  "now: consumption deviates";
        "SCR_IND_SYS_INCORR_REAG"             @   6  1  - flag  "now: wrong reagent";
        "SCR_IND_SYS_LEVEL_LOW"               @   7  1  - flag  "now: reagent low";
        "SCR_IND_SYS_HIST2_NOx_LEVEL"         @   8  1  - flag  "10 000 km block 2: NOx too high";
        "SCR_IND_SYS_HIST2_CONSUMP_DEVIATION" @   9  1  - flag  "10 000 km block 2: consumption deviates";
        "SCR_IND_SYS_HIST2_INCORR_REAG"       @  10  1  - flag  "10 000 km block 2: wrong reagent";
        "SCR_IND_SYS_HIST2_LEVEL_LOW"         @  11  1  - flag  "10 000 km block 2: reagent low";
        "SCR_IND_SYS_HIST1_NOx_LEVEL"         @  12  1  - flag  "10 000 km block 1: NOx too high";
        "SCR_IND_SYS_HIST1_CONSUMP_DEVIATION" @  13  1  - flag  "10 000 km block 1: consumption deviates";
        "SCR_IND_SYS_HIST1_INCORR_REAG"       @  14  1  - flag  "10 000 km block 1: wrong reagent";
        "SCR_IND_SYS_HIST1_LEVEL_LOW"         @  15  1  - flag  "10 000 km block 1: reagent low";
        "SCR_IND_SYS_HIST4_NOx_LEVEL"         @  16  1  - flag  "10 000 km block 4: NOx too high";
        "SCR_IND_SYS_HIST4_CONSUMP_DEVIATION" @  17  1  - flag  "10 000 km block 4: consumption deviates";
        "SCR_IND_SYS_HIST4_INCORR_REAG"       @  18  1  - flag  "10 000 km block 4: wrong reagent";
        "SCR_IND_SYS_HIST4_LEVEL_LOW"         @  19  1  - flag  "10 000 km block 4: reagent low";
        "SCR_IND_SYS_HIST3_NOx_LEVEL"         @  20  1  - flag  "10 000 km block 3: NOx too high";
        "SCR_IND_SYS_HIST3_CONSUMP_DEVIATION" @  21  1  - flag  "10 000 km block 3: consumption deviates";
        "SCR_IND_SYS_HIST3_INCORR_REAG"       @  22  1  - flag  "10 000 km block 3: wrong reagent";
        "SCR_IND_SYS_HIST3_LEVEL_LOW"         @  23  1  - flag  "10 000 km block 3: reagent low";
        "SCR_IND_DIST_1N"                     @  24 16  - Uas25 "distance with inducement in block 1";
        "SCR_IND_DIST_1D"                     @  40 16  - Uas25 "distance in block 1";
        "SCR_IND_DIST_2N"                     @  56 16  - Uas25 "distance with inducement in block 2";
        "SCR_IND_DIST_3N"                     @  72 16  - Uas25 "distance with inducement in block 3";
        "SCR_IND_DIST_4N"                     @  88 16  - Uas25 "distance with inducement in block 4";
    }
    // Regeneration of Diesel aftertreatment.
    0x8B {
        "PF_REGEN_AVGD_SUP"  @   1  1  - flag    "reports the distance between";
        "PF_REGEN_AVGT_SUP"  @   2  1  - flag    "reports the time between";
        "PF_REGEN_PCT_SUP"   @   3  1  - flag    "reports the trigger";
        "NOX_ADS_DESULF_SUP" @   4  1  - flag    "reports desulfurization";
        "NOX_ADS_REGEN_SUP"  @   5  1  - flag    "reports the adsorber";
        "PF_REGEN_TYPE_SUP"  @   6  1  - flag    "reports the kind";
        "PF_REGEN_STAT_SUP"  @   7  1  - flag    "reports the filter";
        "NOX_ADS_DESULF"     @  12  1  4 flag    "NOx adsorber desulfurization is running";
        "NOX_ADS_REGEN"      @  13  1  5 flag    "NOx adsorber regeneration is running";
        "PF_REGEN_TYPE"      @  14  1  6 flag    "filter regeneration is active, not passive";
        "PF_REGEN_STAT"      @  15  1  7 flag    "filter regeneration is running";
        "PF_REGEN_PCT"       @  16  8  3 Percent "how near the next filter regeneration is";
        "PF_REGEN_AVGT"      @  24 16  2 Uas34   "average time between regenerations";
        "PF_REGEN_AVGD"      @  40 16  1 Uas25   "average distance between regenerations";
    }
    // Oxygen concentration and lambda.
    0x8C {
        "O2S22_PCT_LAMBDA_SUP" @   0  1  - flag       "reports lambda at bank 2, sensor 2";
        "O2S21_PCT_LAMBDA_SUP" @   1  1  - flag       "reports lambda at bank 2, sensor 1";
        "O2S12_PCT_LAMBDA_SUP" @   2  1  - flag       "reports lambda at bank 1, sensor 2";
        "O2S11_PCT_LAMBDA_SUP" @   3  1  - flag       "reports lambda at bank 1, sensor 1";
        "O2S22_PCT_SUP"        @   4  1  - flag       "reports oxygen at bank 2, sensor 2";
        "O2S21_PCT_SUP"        @   5  1  - flag       "reports oxygen at bank 2, sensor 1";
        "O2S12_PCT_SUP"        @   6  1  - flag       "reports oxygen at bank 1, sensor 2";
        "O2S11_PCT_SUP"        @   7  1  - flag       "reports oxygen at bank 1, sensor 1";
        "O2S11_PCT"            @   8 16  7 Uas30      "oxygen concentration, bank 1, sensor 1";
        "O2S12_PCT"            @  24 16  6 Uas30      "oxygen concentration, bank 1, sensor 2";
        "O2S21_PCT"            @  40 16  5 Uas30      "oxygen concentration, bank 2, sensor 1";
        "O2S22_PCT"            @  56 16  4 Uas30      "oxygen concentration, bank 2, sensor 2";
        "O2S11_PCT_LAMBDA"     @  72 16  3 LambdaWide "lambda, bank 1, sensor 1";
        "O2S12_PCT_LAMBDA"     @  88 16  2 LambdaWide "lambda, bank 1, sensor 2";
        "O2S21_PCT_LAMBDA"     @ 104 16  1 LambdaWide "lambda, bank 2, sensor 1";
        "O2S22_PCT_LAMBDA"     @ 120 16  0 LambdaWide "lambda, bank 2, sensor 2";
    }
    0x8D { "TP_G" @   0  8  - Percent "throttle position G"; }
    0x8E { "TQ_FR" @   0  8  - Torque "friction torque"; }
    // Particulate matter sensors.
    0x8F {
        "PM21_SIGNAL_SUP" @   4  1  - flag  "reports the value of bank 2";
        "PM21_STA_SUP"    @   5  1  - flag  "reports the state of bank 2";
        "PM11_SIGNAL_SUP" @   6  1  - flag  "reports the value of bank 1";
        "PM11_STA_SUP"    @   7  1  - flag  "reports the state of bank 1";
        "PM11_REGEN"      @  14  1  7 flag  "sensor of bank 1 is regenerating";
        "PM11_ACTIVE"     @  15  1  7 flag  "sensor of bank 1 is active";
        "PM11_NOV"        @  16 16  6 UasAF "normalized value, bank 1";
        "PM21_REGEN"      @  38  1  5 flag  "sensor of bank 2 is regenerating";
        "PM21_ACTIVE"     @  39  1  5 flag  "sensor of bank 2 is active";
        "PM21_NOV"        @  40 16  4 UasAF "normalized value, bank 2";
    }
    // Malfunction indicator of the vehicle (WWH-OBD).
    0x90 {
        "VOBD_RDY"     @   1  1  - flag    "monitoring is not complete";
        "MI_MODE_VOBD" @   2  4  - Counter "mode of the indicator, as a number";
        "MI_DISP_VOBD" @   6  2  - Counter "strategy of the indicator, as a number";
        "VOBD_MI_TIME" @   8 16  - Hours   "engine hours with continuous indicator";
    }
    // Malfunction indicator of this ECU (WWH-OBD).
    0x91 {
        "MI_MODE_ECU" @   4  4  - Counter "mode of the indicator, as a number";
        "OBD_MI_TIME" @   8 16  - Hours   "engine hours with continuous indicator";
        "OBD_B1_TIME" @  24 16  - Hours   "longest engine hours of a class B1 fault";
    }
    // Closed loops of the fuel system.
    0x92 {
        "IFB2_CL_SUP" @   0  1  - flag "reports injection feedback 2";
        "FIT2_CL_SUP" @   1  1  - flag "reports injection timing 2";
        "FIQ2_CL_SUP" @   2  1  - flag "reports injection quantity 2";
        "FP2_CL_SUP"  @   3  1  - flag "reports fuel pressure 2";
        "IFB1_CL_SUP" @   4  1  - flag "reports injection feedback 1";
        "FIT1_CL_SUP" @   5  1  - flag "reports injection timing 1";
        "FIQ1_CL_SUP" @   6  1  - flag "reports injection quantity 1";
        "FP1_CL_SUP"  @   7  1  - flag "reports fuel pressure 1";
        "IFB2_CL"     @   8  1  0 flag "injection feedback 2 is in closed loop";
        "FIT2_CL"     @   9  1  1 flag "injection timing 2 is in closed loop";
        "FIQ2_CL"     @  10  1  2 flag "injection quantity 2 is in closed loop";
        "FP2_CL"      @  11  1  3 flag "fuel pressure 2 is in closed loop";
        "IFB1_CL"     @  12  1  4 flag "injection feedback 1 is in closed loop";
        "FIT1_CL"     @  13  1  5 flag "injection timing 1 is in closed loop";
        "FIQ1_CL"     @  14  1  6 flag "injection quantity 1 is in closed loop";
        "FP1_CL"      @  15  1  7 flag "fuel pressure 1 is in closed loop";
    }
    // Hours with the malfunction indicator (WWH-OBD).
    0x93 {
        "MI_TIME_CUM_SUP" @   7  1  - flag  "counts the hours";
        "MI_TIME_CUM"     @   8 16  7 Hours "total engine hours with the indicator on";
    }
    // Warning and inducement because of NOx.
    0x94 {
        "NOX_DTC_TIME_SUP"   @   2  1  - flag         "counts faults";
        "EGR_TIME_SUP"       @   3  1  - flag         "counts the recirculation valve";
        "REAG_DOSE_TIME_SUP" @   4  1  - flag         "counts dosing";
        "REAG_CON_TIME_SUP"  @   5  1  - flag         "counts consumption";
        "REAG_QUAL_TIME_SUP" @   6  1  - flag         "counts quality";
        "NOX_WARN_ACT_SUP"   @   7  1  - flag         "reports the warning";
        "INDUC_L3"           @   9  2  7 [INDUCEMENT] "inducement, level 3";
        "INDUC_L2"           @  11  2  7 [INDUCEMENT] "inducement, level 2";
        "INDUC_L1"           @  13  2  7 [INDUCEMENT] "inducement, level 1";
        "NOX_WARN_ACT"       @  15  1  7 flag         "the warning is active";
        "REAG_QUAL_TIME"     @  16 16  6 Hours        "time with wrong reagent";
        "REAG_CON_TIME"      @  32 16  5 Hours        "time with deviating consumption";
        "REAG_DOSE_TIME"     @  48 16  4 Hours        "time without dosing";
        "EGR_TIME"           @  64 16  3 Hours        "time with a stuck recirculation valve";
        "NOX_DTC_TIME"       @  80 16  2 Hours        "time with a fault of NOx control";
    }
    // Injection of hydrocarbons into the exhaust.
    0x96 {
        "AFT_FP_SUP"    @   5  1  - flag            "reports the pressure";
        "HC_INJ_DC_SUP" @   6  1  - flag            "reports the duty";
        "HC_INJ_FL_SUP" @   7  1  - flag            "reports the flow";
        "HC_INJ_FL"     @   8 16  7 InjectionFlow   "flow of the injector";
        "HC_INJ_DC"     @  24  8  6 Percent         "duty of the injector";
        "AFT_FP"        @  32 16  5 TenthKilopascal "fuel pressure of the aftertreatment";
    }
    // Exhaust gas temperature, bank 1, further sensors.
    0x98 {
        "EGT18_SUP" @   4  1  - flag  "has sensor 8 of bank 1";
        "EGT17_SUP" @   5  1  - flag  "has sensor 7 of bank 1";
        "EGT16_SUP" @   6  1  - flag  "has sensor 6 of bank 1";
        "EGT15_SUP" @   7  1  - flag  "has sensor 5 of bank 1";
        "EGT15"     @   8 16  7 Uas16 "exhaust gas temperature, bank 1, sensor 5";
        "EGT16"     @  24 16  6 Uas16 "exhaust gas temperature, bank 1, sensor 6";
        "EGT17"     @  40 16  5 Uas16 "exhaust gas temperature, bank 1, sensor 7";
        "EGT18"     @  56 16  4 Uas16 "exhaust gas temperature, bank 1, sensor 8";
    }
    // Exhaust gas temperature, bank 2, further sensors.
    0x99 {
        "EGT28_SUP" @   4  1  - flag  "has sensor 8 of bank 2";
        "EGT27_SUP" @   5  1  - flag  "has sensor 7 of bank 2";
        "EGT26_SUP" @   6  1  - flag  "has sensor 6 of bank 2";
        "EGT25_SUP" @   7  1  - flag  "has sensor 5 of bank 2";
        "EGT25"     @   8 16  7 Uas16 "exhaust gas temperature, bank 2, sensor 5";
        "EGT26"     @  24 16  6 Uas16 "exhaust gas temperature, bank 2, sensor 6";
        "EGT27"     @  40 16  5 Uas16 "exhaust gas temperature, bank 2, sensor 7";
        "EGT28"     @  56 16  4 Uas16 "exhaust gas temperature, bank 2, sensor 8";
    }
    // Drive battery of hybrid and electric cars.
    0x9A {
        "EHEV_MODE_SUP"  @   4  1  - flag        "reports the enhanced charging state";
        "HEV_BATT_A_SUP" @   5  1  - flag        "reports the current";
        "HEV_BATT_V_SUP" @   6  1  - flag        "reports the voltage";
        "HEV_MODE_SUP"   @   7  1  - flag        "reports the charging state";
        "EHEV_MODE"      @  13  2  4 [CHARGING]  "enhanced charging state";
        "HEV_MODE"       @  15  1  7 [CHARGING]  "charging state";
        "HEV_BATT_V"     @  16 16  6 Volt64      "battery voltage";
        "HEV_BATT_A"     @  32 16  5 TenthAmpere "battery current";
    }
    // Exhaust fluid.
    0x9B {
        "DEF_TYPE"     @   0  4  7 Counter        "kind of fluid, as a number";
        "DEF_LVL_SUP"  @   4  1  - flag           "reports the tank";
        "DEF_T_SUP"    @   5  1  - flag           "reports the temperature";
        "DEF_CON_SUP"  @   6  1  - flag           "reports the concentration";
        "DEF_TYPE_SUP" @   7  1  - flag           "reports the kind";
        "DEF_CON"      @   8  8  6 QuarterPercent "urea concentration";
        "DEF_T"        @  16  8  5 Celsius        "tank temperature";
        "DEF_LVL"      @  24  8  4 Percent        "tank level";
    }
    // Oxygen concentration and lambda.
    0x9C {
        "O2S24_PCT_LAMBDA_SUP" @   0  1  - flag       "reports lambda at bank 2, sensor 4";
        "O2S23_PCT_LAMBDA_SUP" @   1  1  - flag       "reports lambda at bank 2, sensor 3";
        "O2S14_PCT_LAMBDA_SUP" @   2  1  - flag       "reports lambda at bank 1, sensor 4";
        "O2S13_PCT_LAMBDA_SUP" @   3  1  - flag       "reports lambda at bank 1, sensor 3";
        "O2S24_PCT_SUP"        @   4  1  - flag       "reports oxygen at bank 2, sensor 4";
        "O2S23_PCT_SUP"        @   5  1  - flag       "reports oxygen at bank 2, sensor 3";
        "O2S14_PCT_SUP"        @   6  1  - flag       "reports oxygen at bank 1, sensor 4";
        "O2S13_PCT_SUP"        @   7  1  - flag       "reports oxygen at bank 1, sensor 3";
        "O2S13_PCT"            @   8 16  7 Uas30      "oxygen concentration, bank 1, sensor 3";
        "O2S14_PCT"            @  24 16  6 Uas30      "oxygen concentration, bank 1, sensor 4";
        "O2S23_PCT"            @  40 16  5 Uas30      "oxygen concentration, bank 2, sensor 3";
        "O2S24_PCT"            @  56 16  4 Uas30      "oxygen concentration, bank 2, sensor 4";
        "O2S13_PCT_LAMBDA"     @  72 16  3 LambdaWide "lambda, bank 1, sensor 3";
        "O2S14_PCT_LAMBDA"     @  88 16  2 LambdaWide "lambda, bank 1, sensor 4";
        "O2S23_PCT_LAMBDA"     @ 104 16  1 LambdaWide "lambda, bank 2, sensor 3";
        "O2S24_PCT_LAMBDA"     @ 120 16  0 LambdaWide "lambda, bank 2, sensor 4";
    }
    // Fuel flow.
    0x9D {
        "FUEL_RATE_ALT" @   0 16  - FuelFlow "fuel into the engine";
        "VFUEL_RATE"    @  16 16  - FuelFlow "fuel out of the tank";
    }
    0x9E { "EXH_RATE" @   0 16  - ExhaustFlow "exhaust flow"; }
    // Which share of the fuel comes from which system.
    0x9F {
        "FUELSYSB_B4_SUP" @   0  1  - flag    "has system B on bank 4";
        "FUELSYSA_B4_SUP" @   1  1  - flag    "has system A on bank 4";
        "FUELSYSB_B3_SUP" @   2  1  - flag    "has system B on bank 3";
        "FUELSYSA_B3_SUP" @   3  1  - flag    "has system A on bank 3";
        "FUELSYSB_B2_SUP" @   4  1  - flag    "has system B on bank 2";
        "FUELSYSA_B2_SUP" @   5  1  - flag    "has system A on bank 2";
        "FUELSYSB_B1_SUP" @   6  1  - flag    "has system B on bank 1";
        "FUELSYSA_B1_SUP" @   7  1  - flag    "has system A on bank 1";
        "FUELSYSA_B1"     @   8  8  7 Percent "share of system A, bank 1";
        "FUELSYSB_B1"     @  16  8  6 Percent "share of system B, bank 1";
        "FUELSYSA_B2"     @  24  8  5 Percent "share of system A, bank 2";
        "FUELSYSB_B2"     @  32  8  4 Percent "share of system B, bank 2";
        "FUELSYSA_B3"     @  40  8  3 Percent "share of system A, bank 3";
        "FUELSYSB_B3"     @  48  8  2 Percent "share of system B, bank 3";
        "FUELSYSA_B4"     @  56  8  1 Percent "share of system A, bank 4";
        "FUELSYSB_B4"     @  64  8  0 Percent "share of system B, bank 4";
    }
}

/// The run times of five emission control devices, two timers each.
macro_rules! devices {
    ($($pid:literal $a:literal $b:literal $c:literal $d:literal $e:literal;)*) => {
        layouts! {
            /// PIDs 81, 82, 89 and 8A: how long emission control devices were active.
            devices;
            $($pid {
                "AECD" $e "_TIME_SUP" @   3  1  - flag  "counts device " $e;
                "AECD" $d "_TIME_SUP" @   4  1  - flag  "counts device " $d;
                "AECD" $c "_TIME_SUP" @   5  1  - flag  "counts device " $c;
                "AECD" $b "_TIME_SUP" @   6  1  - flag  "counts device " $b;
                "AECD" $a "_TIME_SUP" @   7  1  - flag  "counts device " $a;
                "AECD" $a "_TIME1" @      8 32  7 Uas12 "time with device " $a;
                "AECD" $a "_TIME2" @     40 32  7 Uas12 "second time with device " $a;
                "AECD" $b "_TIME1" @     72 32  6 Uas12 "time with device " $b;
                "AECD" $b "_TIME2" @    104 32  6 Uas12 "second time with device " $b;
                "AECD" $c "_TIME1" @    136 32  5 Uas12 "time with device " $c;
                "AECD" $c "_TIME2" @    168 32  5 Uas12 "second time with device " $c;
                "AECD" $d "_TIME1" @    200 32  4 Uas12 "time with device " $d;
                "AECD" $d "_TIME2" @    232 32  4 Uas12 "second time with device " $d;
                "AECD" $e "_TIME1" @    264 32  3 Uas12 "time with device " $e;
                "AECD" $e "_TIME2" @    296 32  3 Uas12 "second time with device " $e;
            })*
        }
    };
}

devices! {
    0x81  1  2  3  4  5;
    0x82  6  7  8  9 10;
    0x89 11 12 13 14 15;
    0x8A 16 17 18 19 20;
}
